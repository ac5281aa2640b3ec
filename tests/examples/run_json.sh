#!/usr/bin/env bash
# usage: run_json.sh JSON_QUERY JSON_QUERY_FREE
# 100 MB of documents parsed without a free: the same answers as the twin that frees, in bounded memory; and the tool works on
# documents from outside.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$1" 100 > "$dir/ours" 2> "$dir/figures" && "$2" 100 > "$dir/twin" 2> "$dir/twin_figures" || { cat "$dir"/*; exit 1; }
cat "$dir/ours" "$dir/figures" "$dir/twin_figures"
diff "$dir/ours" "$dir/twin" || { echo "the twin says something else"; exit 1; }
[[ $(cat "$dir/figures") =~ at\ most\ ([0-9]+)\ MiB ]] && [ "${BASH_REMATCH[1]}" -lt 256 ] || { echo "too much memory"; exit 1; }
for program in "$1" "$2"; do
    said=$(printf '%s\n' '{"a": [1, 2.5, {"b": "x\u0041\n"}], "c": null}' ' {"a":[-3,true,false] } ' |
        "$program" - 'a.*' 2> /dev/null)
    [ "$said" = "6 values, sum 0.50, checksum 0" ] || { echo "$program says: $said"; exit 1; }
    echo '{"a": [1' | "$program" - a > /dev/null 2>&1 && { echo "half a document was taken"; exit 1; }
done
exit 0

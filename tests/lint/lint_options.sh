#!/bin/bash
# usage: lint_options.sh ROOT OPTIONS_TABLE [--update]
# The block between the two markers in README.md is what OPTIONS_TABLE prints. With --update it is put there.
set -u
readme=$1/README.md
table=$2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

"$table" >"$dir/table" || { echo "$table failed"; exit 1; }
for marker in '<!-- options -->' '<!-- /options -->'; do
    n=$(grep -cxF -- "$marker" "$readme" 2>/dev/null)
    [ "${n:-0}" -eq 1 ] || { echo "README.md: not exactly one line $marker"; exit 1; }
done
if [ "${3:-}" = --update ]; then
    awk -v table="$dir/table" '
        $0 == "<!-- options -->" { while ((getline line < table) > 0) print line; inside = 1 }
        !inside { print }
        $0 == "<!-- /options -->" { inside = 0 }' "$readme" >"$dir/readme" && cat "$dir/readme" >"$readme"
    exit
fi
sed -n '/^<!-- options -->$/,/^<!-- \/options -->$/p' "$readme" >"$dir/found"
diff -u --label README.md "$dir/found" --label generated "$dir/table" && exit 0
echo "README.md: the table of options is not the generated one (lint_options.sh ROOT OPTIONS_TABLE --update)"
exit 1

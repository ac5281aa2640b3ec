#!/usr/bin/env bash
# usage: run_leaks.sh LIBRARY PLANTED PLANTED_CXX
# What the leak report says of planted leaks: counts, places, exit status, files, JSON, suppressions.
library=$1 program=$2 cxx=$3
. "$(dirname "$0")/common.sh"

# expect KIND BLOCKS BYTES DIRECT_BLOCKS PLACE
expect() {
    local mode report
    for mode in report reclaim reclaim,probation=careful; do
        run "mode=$mode,leaks=1,leaks_exit=23,leaks_file=$dir/leaks" "$program" "$1" > "$dir/out"
        local status=$?
        report=$(cat "$dir/leaks")
        [ "$(cat "$dir/out")" = planted ] || bad "$1 $mode: the program's output was lost"
        if [ "$2" = 0 ]; then
            [ $status = 0 ] || bad "$1 $mode: status $status"
            [ -z "$report" ] || bad "$1 $mode: $report"
            continue
        fi
        [ $status = 23 ] || bad "$1 $mode: status $status"
        grep -q "^libgcmalloc: $2 blocks\? with $3 bytes leaked" <<< "$report" || bad "$1 $mode: $report"
        local direct
        direct=$(awk '/^leak: .*lost directly/ { n += $5 } END { print n + 0 }' <<< "$report")
        [ "$direct" = "$4" ] || bad "$1 $mode: $direct direct: $report"
        resolve "$report" | grep -q "^$5\$" || bad "$1 $mode: $5 is not named: $report"
    done
}

# Names of all places in a report, by what is printed: module and offset.
resolve() {
    sed -n 's/^    #.*(\(.*\)+\(0x[0-9a-f]*\))$/\1 \2/p' <<< "$1" | grep -F "$program " | sort -u |
        while read -r module offset; do addr2line -f -e "$module" "$offset" | head -1; done
}

expect direct 3 300 3 plant_direct
expect indirect 5 160 1 plant_indirect
expect cyclic 3 144 0 plant_cyclic
expect none 0 0 0 -
expect freed 0 0 0 -
expect handed 0 0 0 -
expect grown 1 70000 1 plant_grown
expect thread 2 48 2 plant_in_thread

# To stderr where no file is named, and with the program's own status.
run leaks=1 "$program" direct 2> "$dir/err" > /dev/null || bad "status without leaks_exit"
grep -q "3 blocks with 300 bytes leaked" "$dir/err" || bad "stderr: $(cat "$dir/err")"

# A file is made anew, private, and never through a link.
echo old > "$dir/file"
run "leaks=1,leaks_file=$dir/file" "$program" direct > /dev/null
grep -q old "$dir/file" && bad "the file was not emptied"
run "leaks=1,leaks_file=$dir/%p.txt" "$program" direct > /dev/null
[ "$(stat -c %a "$dir"/[0-9]*.txt)" = 600 ] || bad "mode of $(ls "$dir")"
ln -s "$dir/target" "$dir/link"
run "leaks=1,leaks_file=$dir/link" "$program" direct > /dev/null 2> "$dir/err"
[ ! -e "$dir/target" ] || bad "a link was followed"
grep -q "^libgcmalloc: option leaks_file: the file cannot be written$" "$dir/err" || bad "link: $(cat "$dir/err")"

# JSON, read by a parser.
run "leaks=1,leaks_file=$dir/leaks.json" "$program" indirect > /dev/null
if command -v python3 > /dev/null; then
    python3 - "$dir/leaks.json" "$program" << 'PYTHON' || bad "JSON: $(cat "$dir/leaks.json")"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["blocks"] == 5 and report["bytes"] == 160
assert report["suppressed_blocks"] == 0 and report["not_recorded"] == 0
assert sum(l["blocks"] for l in report["leaks"] if l["kind"] == "direct") == 1
assert sum(l["bytes"] for l in report["leaks"] if l["kind"] == "indirect") == 128
assert all(any(f["module"] == sys.argv[2] for f in l["stack"]) for l in report["leaks"])
PYTHON
fi

# In a folder whose name is no text, where the file system has such: still JSON, and still one line for each place.
odd="$dir"/$'\377\nodd'
if command -v python3 > /dev/null && mkdir "$odd" 2> /dev/null; then
    cp "$program" "$odd/planted"
    run "leaks=1,leaks_file=$dir/leaks.json" "$odd/planted" indirect > /dev/null
    python3 - "$dir/leaks.json" << 'PYTHON' || bad "JSON of an odd folder: $(cat "$dir/leaks.json")"
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert any(f["module"].endswith("/??odd/planted") for l in report["leaks"] for f in l["stack"])
PYTHON
    run "leaks=1,leaks_file=$dir/leaks" "$odd/planted" indirect > /dev/null
    grep -a -q '^odd' "$dir/leaks" && bad "a line that is the rest of a name: $(cat "$dir/leaks")"
fi

# A name longer than what fits: cut, with the place behind it.
long=$(dirname "$program")/planted_long
run "leaks=1,leaks_file=$dir/leaks" "$long"
grep -q "^    #[0-9]* planted_abc[abc]* ($long+0x[0-9a-f]*)$" "$dir/leaks" || bad "a long name: $(cat "$dir/leaks")"
run "leaks=1,leaks_file=$dir/leaks.json" "$long"
if command -v python3 > /dev/null; then
    python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["blocks"] >= 8' "$dir/leaks.json" ||
        bad "JSON of a long name: $(cat "$dir/leaks.json")"
fi

# LeakSanitizer's suppression files.
printf '# ours\nrace:x\nleak:no_such_place\n' > "$dir/supp"
run "leaks=1,leaks_exit=23,leaks_file=$dir/leaks,suppressions=$dir/supp" "$program" direct > /dev/null
[ $? = 23 ] || bad "a suppression of something else suppressed"
printf 'leak:^*/%s$\n' "$(basename "$program")" > "$dir/supp"
run "leaks=1,leaks_exit=23,leaks_file=$dir/leaks,suppressions=$dir/supp" "$program" direct > /dev/null
[ $? = 0 ] || bad "status of suppressed leaks"
grep -q "^libgcmalloc: 3 blocks with 300 bytes suppressed$" "$dir/leaks" || bad "suppressed: $(cat "$dir/leaks")"
# A function that nobody exports is named, and suppressed by its name; so is one of C++, as people write it.
run "leaks=1,leaks_file=$dir/leaks" "$program" direct > /dev/null
grep -q "^    #1 plant_direct ($program+0x" "$dir/leaks" || bad "a static function: $(cat "$dir/leaks")"
printf 'leak:plant_direct\n' > "$dir/supp"
run "leaks=1,leaks_exit=23,leaks_file=$dir/leaks,suppressions=$dir/supp" "$program" direct > /dev/null ||
    bad "suppressed by the name of a static function: $(cat "$dir/leaks")"
run "leaks=1,leaks_exit=23,leaks_file=$dir/leaks" "$cxx"
[ $? = 23 ] || bad "C++: status"
grep -qF " planted::keeper::lose(int) ($cxx+0x" "$dir/leaks" || bad "C++: $(cat "$dir/leaks")"
printf 'leak:planted::keeper::lose\n' > "$dir/supp"
run "leaks=1,leaks_exit=23,leaks_file=$dir/leaks,suppressions=$dir/supp" "$cxx" || bad "suppressed by a name of C++"
run "leaks=1,suppressions=$dir/none" "$program" none > /dev/null 2> "$dir/err"
grep -q "^libgcmalloc: option suppressions: the file cannot be read$" "$dir/err" || bad "no file: $(cat "$dir/err")"

# A stripped program's places are those of the unstripped one.
strip -o "$dir/stripped" "$program"
run "leaks=1,leaks_file=$dir/leaks" "$dir/stripped" direct > /dev/null
sed -i "s|$dir/stripped|$program|" "$dir/leaks"
resolve "$(cat "$dir/leaks")" | grep -qx plant_direct || bad "stripped: $(cat "$dir/leaks")"

# Where nothing can be proven, nothing is claimed.
run "mode=off,leaks=1,leaks_exit=23" "$program" direct > /dev/null 2> "$dir/err" || bad "status with mode=off"
grep -q "^libgcmalloc: no leak report: collection is off$" "$dir/err" || bad "mode=off: $(cat "$dir/err")"
finish

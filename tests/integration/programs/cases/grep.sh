# Fixed strings, alternations, back references, many patterns, recursive.
needs="grep"
stress=50
case_setup() {
    seq 200000 | awk '{ printf "line %07d of the file with some words, a number %.3f and an address 10.0.%d.7 at its end\n", $1, $1 / 7, $1 % 256 }' >text
    seq 17 97 60000 | sed 's/^/line 0*/' >patterns
    mkdir tree && split -l 5000 text tree/part.
}
case_run() {
    cp -a "$work/tree" tree
    pre grep -c 'line 00[0-9]*7 ' "$work/text"
    pre grep -nE '(line|row) 0+1[0-9]{2}5|9{4}' "$work/text"
    pre grep -ciE '([0-9])\1\1\1' "$work/text"
    pre grep -wFo -f <(seq 1 200) "$work/text" | cksum
    pre grep -c -f "$work/patterns" "$work/text"
    pre grep -rl --include='part.a?' '00012345' tree | sort
    pre grep -q 'no such thing' "$work/text"
    pre grep 'unbalanced \(' "$work/text"
}

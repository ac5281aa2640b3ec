# Its own malloc family may be linked in; loops, arrays, subshells, here documents, traps, job control off.
needs="bash"
case_project() { sed "s|$work|WORK|g"; }
stress=100
case_setup() {
    cat >script <<'SH'
declare -A h
for i in {1..20000}; do h[k$((i * 7919 % 997))]+=" $i"; done
for k in $(printf '%s\n' "${!h[@]}" | sort | head -20); do echo "$k ${#h[$k]}"; done
a=({1..5000}); for i in "${!a[@]}"; do a[i]="${a[i]}x${a[i]}"; done; echo "${a[*]: -3}" "${#a[@]}"
s=""; for i in {1..3000}; do s="$s${s:0:1}$i"; done; echo "${#s}" "${s//1/<>}" | cksum
f() { local n=$1; (( n < 2 )) && echo "$n" || echo $(( $(f $((n - 1))) + $(f $((n - 2))) )); }; f 9
trap 'echo trapped' USR1; kill -USR1 $$; trap 'echo leaving' EXIT
while read -r x y; do t=$((t + x)); done < <(seq 2000 | sed 's/$/ y/'); echo "$t"
cat <<HERE | tr a-z A-Z
here $(echo nested $(echo twice)) ${h[k17]:0:30}
HERE
for i in 1 2 3 4 5; do (exit $i) & pids+=($!); done; for p in "${pids[@]}"; do wait "$p"; echo "status $?"; done
[[ "item 77=x" =~ ([0-9]+)=(.) ]] && echo "${BASH_REMATCH[@]}"; eval 'v=$((6 * 7))'; printf '%05d|%-8s|%q\n' "$v" ab 'c d'
no_such_command; exit 6
SH
}
case_run() {
    pre bash "$work/script"
    pre bash -n "$work/script"
    pre bash -c 'ulimit -c 0; echo $((1 / 0)) | cat'
}

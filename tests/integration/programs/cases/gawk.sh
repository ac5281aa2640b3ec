# Associative arrays, regular expressions, string building, pipes, arbitrary precision where it is built in.
needs="gawk"
stress=100
case_setup() {
    seq 60000 | sed 's/\([0-9]*\)\([0-9]\)/word\2 \1 text,\1;\2/' >data
}
case_run() {
    pre gawk '{ n[$1] += $2; s[$2 % 5000] = s[$2 % 5000] $1 } END { m = asorti(n, k); for (i = 1; i <= m; i++) print k[i], n[k[i]];
        for (i = 0; i < 5000; i += 97) print length(s[i]) }' "$work/data"
    pre gawk '{ gsub(/[aeiou]+/, "<&>"); split($0, p, /[,;]/); t = t substr(p[1], 1, 3); if (NR % 1000 == 0) { print length(t), toupper(p[2]); t = "" } }' "$work/data"
    pre gawk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(21); while (("seq 1000" | getline x) > 0) y += x; print y }'
    pre gawk 'BEGIN { for (i = 0; i < 300; i++) for (j = 0; j < 300; j++) a[i][j] = sprintf("%d.%d", i, j); delete a[7]; for (i in a) c += length(a[i]); print c }'
    pre gawk 'BEGIN { print 1 / 0 }'
}

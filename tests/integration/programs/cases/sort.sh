# In memory, with temporary files, in two threads, by several keys.
needs="sort"
stress=20
case_setup() {
    seq 300000 | awk '{ x = ($1 * 7919 + 13) % 999983; printf "%d %c%c%d key%05d\n", x, 97 + x % 26, 97 + x % 7, x * 31 % 1009, x % 4096 }' >data
}
case_run() {
    pre sort "$work/data" | cksum
    pre sort -k2,2 -k1,1nr --parallel=2 "$work/data" | cksum
    pre sort -n -S 1M -T . "$work/data" | cksum
    pre sort -u -k3 "$work/data" | cksum
    pre sort -V "$work/data" | cksum
    pre sort -R --random-source="$work/data" "$work/data" | cksum
    pre sort -c "$work/data"
}

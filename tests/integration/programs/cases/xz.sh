# Two worker threads and blocks of a mebibyte; then decompression, threaded too where xz can.
needs="xz"
stress=1
case_setup() {
    seq 1000000 | awk '{ print $1, $1 * 7919 % 99991, "filler text" }' >data
}
case_run() {
    pre xz -T2 -2 --block-size=1MiB -k -c "$work/data" >data.xz
    cksum <data.xz
    pre xz -T2 -d -c data.xz | cksum
    pre xz -T1 -0 -c "$work/data" | cksum
    pre xz --list --robot data.xz
    head -c 100000 data.xz >cut.xz
    pre xz -d -c cut.xz | cksum
}

# A tree of 3000 files, listed long, sorted five ways.
needs="ls"
stress=20
case_setup() {
    mkdir tree
    for d in $(seq 30); do
        mkdir "tree/dir $d"
        (cd "tree/dir $d" && for f in $(seq 100); do printf '%*s' $((f * d % 977)) x >"file.$f.$((f * 7919 % 13))"; done)
    done
    ln -s nowhere tree/dangling
}
case_run() {
    cp -a "$work/tree" tree && cd tree || return
    pre ls -lAR --time-style=full-iso .
    pre ls -RS --color=always .
    pre ls -RX -Q -i -d . >/dev/null
    pre ls -Rm -v .
    pre ls no-such-file
}

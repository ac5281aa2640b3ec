# Two processes that talk through pipes, pools of memory, checksums, deletes, a daemon's protocol over a socket pair.
needs="rsync"
stress=20
case_setup() {
    mkdir tree
    for i in $(seq 300); do mkdir -p tree/d$((i % 17)); seq "$i" $((i * 13)) >tree/d$((i % 17))/f$i; done
    ln -s d1/f1 tree/link
    find tree -depth -exec touch -h -d 2020-02-02 {} + # times of folders are compared, too
}
case_run() {
    pre rsync -a "$work/tree/" copy
    for i in $(seq 1 7 290); do echo more >>copy/d$((i % 17))/f$i; done
    rm -r copy/d3
    touch copy/extra
    pre rsync -ac --delete --out-format='%o %n' "$work/tree/" copy | sort | cksum
    diff -r --no-dereference "$work/tree" copy && echo same
    pre rsync -a --fuzzy --no-whole-file "$work/tree/" copy2 && diff -r --no-dereference copy copy2 && echo same
    pre rsync --no-such-option
}

# Create, list, extract, compare, through gzip; sparse and long names.
needs="tar gzip"
stress=20
case_setup() {
    mkdir tree
    for d in $(seq 40); do
        mkdir -p "tree/$d/a-rather-long-directory-name-that-goes-on-and-on-and-on-$d/$d"
        for f in $(seq 40); do seq $((f * d)) >"tree/$d/a-rather-long-directory-name-that-goes-on-and-on-and-on-$d/$d/some-file-with-a-long-name-$f"; done
    done
    truncate -s 4M tree/sparse && echo end >>tree/sparse
    find tree -exec touch -h -d @1600000000 {} +
}
case_run() {
    cd "$work" || return
    local own="--sort=name --owner=0 --group=0 --numeric-owner"
    # shellcheck disable=SC2086
    pre tar $own -cf "$HOME/a.tar" tree && cksum <"$HOME/a.tar"
    # shellcheck disable=SC2086
    pre tar $own -S -czf "$HOME/a.tgz" --format=posix --pax-option=delete=atime,delete=ctime tree
    cd "$HOME" || return
    pre tar -tvf a.tar
    pre tar -xzf a.tgz
    find tree -type f -exec cksum {} + | sort
    pre tar -df a.tar
    pre tar -xf no-such.tar
}

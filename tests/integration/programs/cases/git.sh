# A repository of our own making: commits, branches, merge, log, blame, grep, fsck, gc, clone.
needs="git"
stress=100
limit_s=120
case_run() {
    export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
    export GIT_TERMINAL_PROMPT=0 PAGER=cat
    local i
    pre git init -q -b main repo && cd repo || return
    git config gc.auto 0
    for i in $(seq 12); do
        export GIT_AUTHOR_DATE="$((1600000000 + i * 1000)) +0000" GIT_COMMITTER_DATE="$((1600000000 + i * 1000)) +0000"
        mkdir -p "d$i"
        for f in $(seq 40); do seq "$i" $((i + f * 5)) >"d$i/f$f"; done
        seq $((i * 100)) >common
        pre git add -A
        pre git commit -q -m "commit $i"
    done
    pre git checkout -q -b side HEAD~5
    echo side >side && pre git add side && pre git commit -q -m side
    pre git merge -q --no-edit main
    pre git log --stat --graph -p --no-color | cksum
    pre git log --format='%H %an %s' -M --name-status
    pre git blame common | cksum
    pre git grep -n '^77$' | cksum
    pre git diff HEAD~3 --stat=100
    pre git fsck --full --strict --no-progress
    pre git gc -q --aggressive
    pre git count-objects -v | grep -v size
    pre git verify-pack -v .git/objects/pack/*.idx | grep -c blob
    pre git clone -q . ../copy && pre git -C ../copy log --oneline -3
    pre git -C ../copy status --short
    pre git show no-such-revision
}

# Sourced by the tests of this folder, which have set $gcrun: $dir is an empty folder that goes away, $pid a process in the
# background that is killed with it.
set -u
dir=$(mktemp -d) || exit 1
pid=''
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
unset LD_PRELOAD GCMALLOC
n_failed=0
failed() {
    printf 'FAILED %s\n' "$*"
    n_failed=$((n_failed + 1))
}
conclude() { # conclude WHAT
    [ "$n_failed" -eq 0 ] && echo "$1: all as promised"
    exit $((n_failed != 0))
}
skip() {
    echo "skipped: $*"
    exit 77
}

start() { # start COMMAND... : in the background, ready; its number in $pid
    mkfifo "$dir/ready"
    "$@" >"$dir/ready" &
    pid=$!
    read -r _ <"$dir/ready" || failed "$*: did not start"
    rm "$dir/ready"
}
finish() { # finish [STATUS] : ends it
    kill -TERM "$pid"
    wait "$pid"
    local status=$?
    pid=''
    [ "$status" -eq "${1:-0}" ] || failed "the process ended with status $status"
}
expect() { # expect STATUS TEXT COMMAND ... : exit status, and a text in its output
    local status=$1 text=$2 out got
    shift 2
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" -ne "$status" ] || [[ $out != *"$text"* ]]; then
        failed "$* : status $got, expected $status and \"$text\":"$'\n'"$out"
    fi
}
expect_lines() { # expect_lines WHAT OUTPUT TEXT ... : the texts are there, in this order
    local what=$1 rest=$2 text
    shift 2
    for text; do
        [[ $rest == *"$text"* ]] || { failed "$what: no \"$text\" in its place:"$'\n'"$rest"; return 1; }
        rest=${rest#*"$text"}
    done
}

# Answers that lie where a process puts them; those of tests beside this one lie there for a moment.
answers() { find /tmp /dev/shm /var/tmp -maxdepth 1 -name 'gcmalloc-*' -user "$(id -u)" 2>/dev/null | sort; }
answers_before=$(answers)
expect_no_answers_left() {
    local file i
    for file in $(comm -13 <(echo "$answers_before") <(answers)); do
        for ((i = 0; i < 100; i++)); do
            [ -e "$file" ] || continue 2
            sleep 0.1
        done
        failed "left behind: $file"
    done
}

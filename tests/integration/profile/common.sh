# Sourced by the tests of this folder: $library and $program are set, $dir is an empty folder that goes away.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n_bad=0
bad() {
    echo "FAILED: $*"
    n_bad=$((n_bad + 1))
}
finish() {
    echo "$n_bad failed"
    exit $((n_bad != 0))
}
# run OPTIONS COMMAND ... : with the library preloaded
run() {
    local options=$1
    shift
    timeout 60 env "GCMALLOC=$options" "LD_PRELOAD=$library" "$@"
}
skip() {
    echo "skipped: $*"
    exit 77
}

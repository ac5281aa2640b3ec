# HotSpot's collectors, which stop threads as ours does and read their stacks, one after the other: six threads make garbage
# in a small heap, with direct buffers, deflaters and references.
needs="java javac"
stress=50
limit_s=120
case_setup() { javac -d classes "$here/cases/JavaGarbage.java"; }
case_run() {
    local collector
    for collector in UseParallelGC UseG1GC UseZGC; do
        java -XX:+$collector -version >/dev/null 2>&1 || continue
        pre java -Xmx48m -Xshare:auto -XX:+$collector -cp "$work/classes" JavaGarbage
    done
}

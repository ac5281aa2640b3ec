# HotSpot: its own heap in maps, JIT threads, safepoints by SIGSEGV; class data, threads, zip and nio on the malloc side.
# A single source file is compiled in memory by javac and run.
needs="java"
stress=1000
limit_s=180
case_run() {
    if java --list-modules 2>/dev/null | grep -q jdk.compiler; then
        pre java -Xmx256m -XX:+UseSerialGC "$here/cases/JavaWork.java"
        pre java -Xmx256m -XX:+UseG1GC -Xlog:disable "$here/cases/JavaWork.java"
    fi
    pre java -Xmx64m -Xshare:auto -version 2>&1
    pre java NoSuchClass
}

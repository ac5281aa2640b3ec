# Our own C++ program: threads, exceptions across them, thread_local objects with destructors.
needs=""
stress=300
limit_s=180
case_run() {
    pre "$bindir/cxx_threads" 4 200
    pre "$bindir/cxx_threads" 16 30
}

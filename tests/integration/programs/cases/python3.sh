# Threads, fork, sqlite3, ctypes, json, subprocess, and the interpreter's own collector.
needs="python3"
stress=300
limit_s=120
case_run() {
    local python
    python=$(python3 -c 'import sys; print(sys.executable)') # the interpreter, not a shell script in front of it
    pre "$python" "$here/cases/python3_work.py"
    pre "$python" -X dev -c 'import this' | cksum
    PYTHONMALLOC=malloc pre "$python" "$here/cases/python3_work.py"
    pre "$python" -c 'raise SystemExit(3)'
    pre "$python" -c 'import nothing_of_this_name'
}

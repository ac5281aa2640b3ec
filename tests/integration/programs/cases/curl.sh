# curl itself preloaded: files, many at once, a refused connection; the resolver and TLS start-up run too.
needs="curl"
stress=20
case_run() {
    local port i
    port=$(free_port)
    for i in $(seq 30); do seq $((i * 500)) >"f$i"; done
    pre curl -sS "file://$PWD/f[1-30]" | cksum
    pre curl --no-progress-meter -Z --parallel-max 10 "file://$PWD/f[1-30]" -o 'out#1'
    cat out* | wc -c
    pre curl -sS --max-time 20 "http://127.0.0.1:$port/"
    pre curl -sS --max-time 20 "https://localhost:$port/"
    pre curl -sS 'scheme://x'
}
case_project() { sed 's/port [0-9]*/port N/; s/after [0-9]* ms/after N ms/'; }

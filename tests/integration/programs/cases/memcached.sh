# memcached with four threads; clients by bash over loopback, several at once.
needs="memcached"
stress=2
memcached_client() { # port number
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return
    local i line
    for i in $(seq 400); do
        printf 'set key:%s:%s 0 0 %s noreply\r\n%s\r\n' "$2" "$i" $((i % 100 + 5)) "$(printf '%0*d' $((i % 100 + 5)) "$i")" >&3
    done
    for i in $(seq 1 7 400); do printf 'get key:%s:%s\r\n' "$2" "$i" >&3; done
    printf 'incr key:%s:1 41\r\ndelete key:%s:8\r\nget key:%s:8\r\nno-such-command\r\nquit\r\n' "$2" "$2" "$2" >&3
    cat <&3 >"client.$2"
}
case_run() {
    local port
    port=$(free_port)
    serve memcached -l 127.0.0.1 -p "$port" -U 0 -t 4 -m 64 -u root
    serve_wait "$port" || return
    local clients=() i
    for i in $(seq 8); do memcached_client "$port" "$i" & clients+=($!); done
    wait "${clients[@]}"
    for i in $(seq 8); do cksum <"client.$i"; head -c 300 "client.$i"; done
    serve_stop
}

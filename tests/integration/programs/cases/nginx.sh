# nginx, a master and two workers, small and large files, gzip, many connections, a reload.
needs="nginx curl"
stress=5
nginx_fetch() { curl -sS --max-time 60 "$@"; }
case_run() {
    local port i clients=()
    port=$(free_port)
    mkdir -p www/sub logs
    for i in $(seq 40); do seq $((i * 200)) >"www/f$i.txt"; done
    head -c 8000000 /dev/zero | tr '\0' x >www/large.bin
    cat >nginx.conf <<CONF
daemon off; master_process on; worker_processes 2; pid $PWD/nginx.pid; error_log $PWD/logs/error.log; user root;
events { worker_connections 200; }
http { access_log $PWD/logs/access.log; gzip on; gzip_types text/plain; gzip_min_length 100; default_type text/plain;
  client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;
  server { listen 127.0.0.1:$port; root $PWD/www; location /proxy/ { proxy_pass http://127.0.0.1:$port/; } location /r { return 302 /f1.txt; } } }
CONF
    pre nginx -t -q -e logs/error.log -p "$PWD" -c nginx.conf
    serve nginx -e logs/error.log -p "$PWD" -c nginx.conf
    serve_wait "$port" || return
    for i in $(seq 8); do
        nginx_fetch $(for f in $(seq 40); do echo "http://127.0.0.1:$port/f$f.txt"; done) | cksum >"client.$i" &
        clients+=($!)
    done
    wait "${clients[@]}"
    cat client.*
    nginx_fetch --compressed "http://127.0.0.1:$port/f40.txt" | cksum
    nginx_fetch "http://127.0.0.1:$port/large.bin" | cksum
    nginx_fetch "http://127.0.0.1:$port/proxy/f7.txt" | cksum
    nginx_fetch -r 100-199 -o /dev/null -w '%{http_code}\n' "http://127.0.0.1:$port/f9.txt"
    nginx_fetch -o /dev/null -w '%{http_code} %{size_download}\n' "http://127.0.0.1:$port/missing"
    kill -HUP "$server_pid"
    sleep 1
    nginx_fetch -L "http://127.0.0.1:$port/r" | cksum
    serve_stop
    grep -Ev ' \[(notice|info)\] |missing' logs/error.log | sed 's/^[0-9/]* [0-9:]* //; s/[0-9]*#[0-9]*//'
}

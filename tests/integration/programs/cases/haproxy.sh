# haproxy, a master and a worker with four threads, in front of itself: rewriting, a cache, compression, many clients at once.
needs="haproxy curl"
stress=20
case_run() {
    local port back i clients=()
    port=$(free_port)
    back=$(free_port)
    seq 2000 >body.txt
    cat >haproxy.cfg <<CONF
global
  nbthread 4
  maxconn 200
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
cache small
  total-max-size 4
  max-age 60
frontend front
  bind 127.0.0.1:$port
  compression algo gzip
  compression type text/plain
  http-request set-header X-Path %[path,upper]
  http-request return status 200 content-type text/plain lf-string "%[path,sha1,hex] %[url_param(q),base64]\n" if { path_beg /hash }
  http-request cache-use small if { path_beg /file }
  http-response cache-store small
  default_backend behind
backend behind
  balance roundrobin
  server a 127.0.0.1:$back
  server b 127.0.0.1:$back
frontend origin
  bind 127.0.0.1:$back
  http-request return status 200 content-type text/plain hdr Cache-Control max-age=60 file $PWD/body.txt if { path_beg /file }
  http-request deny deny_status 403 if { path_beg /deny }
  http-request return status 200 content-type text/plain lf-string "%[req.hdr(X-Path)]\n"
CONF
    pre haproxy -c -q -f haproxy.cfg
    serve haproxy -W -q -f haproxy.cfg
    serve_wait "$port" || return
    for i in $(seq 8); do
        # shellcheck disable=SC2046
        curl -sS --max-time 60 $(for f in $(seq 60); do echo "http://127.0.0.1:$port/hash/$f?q=client$i" "http://127.0.0.1:$port/file/$f" "http://127.0.0.1:$port/some/$f"; done) | cksum >"client.$i" &
        clients+=($!)
    done
    wait "${clients[@]}"
    cat client.*
    curl -sS --max-time 60 --compressed "http://127.0.0.1:$port/file/1" | cksum
    curl -sS --max-time 60 -o /dev/null -w '%{http_code}\n' "http://127.0.0.1:$port/deny"
    kill -USR2 "$server_pid" # a new worker takes the sockets over
    sleep 1
    for i in $(seq 20); do curl -sS --max-time 60 "http://127.0.0.1:$port/after/$i"; done
    serve_stop
}

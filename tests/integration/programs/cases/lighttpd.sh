# lighttpd under load: many clients at once, files of all sizes, CGI (fork and exec in a server), redirects, a graceful end.
needs="lighttpd curl"
stress=5
case_run() {
    local port i clients=()
    port=$(free_port)
    mkdir www
    for i in $(seq 40); do seq $((i * 200)) >"www/f$i.txt"; done
    head -c 8000000 /dev/zero | tr '\0' x >www/large.bin
    printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\nquery $QUERY_STRING\\n"; cat\n' >www/run.cgi
    chmod +x www/run.cgi
    cat >lighttpd.conf <<CONF
server.modules = ( "mod_access", "mod_alias", "mod_cgi", "mod_redirect", "mod_setenv", "mod_expire" )
server.document-root = "$PWD/www"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$PWD/error.log"
server.upload-dirs = ( "$PWD" )
mimetype.assign = ( ".txt" => "text/plain", "" => "application/octet-stream" )
cgi.assign = ( ".cgi" => "/bin/sh" )
url.redirect = ( "^/r\$" => "/f1.txt" )
setenv.add-response-header = ( "X-Test" => "yes" )
CONF
    pre lighttpd -t -f lighttpd.conf
    serve lighttpd -D -f lighttpd.conf
    serve_wait "$port" || return
    for i in $(seq 8); do
        # shellcheck disable=SC2046
        curl -sS --max-time 60 $(for f in $(seq 40); do echo "http://127.0.0.1:$port/f$f.txt"; done) | cksum >"client.$i" &
        clients+=($!)
    done
    wait "${clients[@]}"
    cat client.*
    curl -sS --max-time 60 "http://127.0.0.1:$port/large.bin" | cksum
    curl -sS --max-time 60 -o /dev/null -w '%{http_code} %{size_download}\n' -r 100-199 "http://127.0.0.1:$port/f9.txt"
    curl -sS --max-time 60 -o /dev/null -w '%{http_code}\n' "http://127.0.0.1:$port/missing"
    curl -sSL --max-time 60 "http://127.0.0.1:$port/r" | cksum
    for i in $(seq 10); do curl -sS --max-time 60 -d "body $i" "http://127.0.0.1:$port/run.cgi?n=$i"; echo; done
    # By SIGTERM it ends with 1 where it has not seen yet that a client is gone; by SIGINT it waits for that.
    kill -INT "$server_pid"
    for i in $(seq 600); do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    serve_stop
    sed 's/^[^:]*:[^(]*//' error.log
}
case_project() { sed '/server st\(arted\|opped\)\|graceful shutdown/d'; }

# redis-server under redis-benchmark, then keys of every type compared; a background save forks.
needs="redis-server redis-cli redis-benchmark"
stress=400
limit_s=120
case_project() { sed '/^[0-9]*:[A-Z] /d; /^# /d'; }
case_run() {
    local port
    port=$(free_port)
    serve redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir . --loglevel warning --logfile redis.log --activedefrag no
    serve_wait "$port" || return
    local cli="redis-cli -h 127.0.0.1 -p $port"
    # Its figures differ from run to run: the server must survive it, the keys tell the rest.
    pre redis-benchmark -h 127.0.0.1 -p "$port" -n 20000 -c 20 -P 4 -r 2000 -d 200 -q -t set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset >/dev/null
    $cli FLUSHALL
    {
        for i in $(seq 3000); do
            echo "SET s:$i value-$i-$((i * i))"
            echo "HSET h:$((i % 50)) f$i $i"
            echo "RPUSH l:$((i % 20)) item$i"
            echo "ZADD z $((i * 7919 % 1009)) m$i"
            echo "SADD set:$((i % 7)) $i"
            [ $((i % 3)) -ne 0 ] || echo "DEL s:$((i - 1))"
        done
    } | pre $cli --no-raw | cksum
    $cli DBSIZE
    $cli ZRANGE z 0 40 WITHSCORES
    $cli LRANGE l:7 0 -1 | cksum
    $cli HGETALL h:9 | sort | cksum
    $cli --raw EVAL 'local n = 0 for i = 1, 2000 do n = n + #(redis.call("GET", "s:" .. i) or "") end return n' 0
    $cli BGSAVE
    local i
    for i in $(seq 300); do $cli INFO persistence | grep -q 'rdb_bgsave_in_progress:0' && break; sleep 0.1; done
    $cli INFO persistence | grep -c 'rdb_last_bgsave_status:ok'
    $cli DEBUG RELOAD
    $cli DBSIZE
    serve_stop
}

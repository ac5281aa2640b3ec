# V8 with its own heap, JIT and worker threads; native addons' side of malloc through zlib, crypto, buffers and the uv pool.
needs="node"
stress=300
limit_s=120
case_run() {
    pre node "$here/cases/node_work.js"
    pre node -e 'process.exit(9)'
    pre node -e 'JSON.parse("{")' >/dev/null 2>&1
}

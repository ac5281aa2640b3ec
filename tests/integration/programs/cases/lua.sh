# Tables, strings, coroutines, closures and lua's own collector.
# Not luajit, whose blocks are its own.
needs=""
stress=20
for lua in lua5.4 lua5.3 lua5.1; do command -v $lua >/dev/null && break; done
needs=$lua
case_run() {
    pre $lua "$here/cases/lua_work.lua"
    pre $lua -e 'error("end")'
}

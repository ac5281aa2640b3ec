# Tables, strings, coroutines, closures and lua's own collector.
needs=""
stress=20
for lua in lua5.4 lua5.3 lua lua5.1 luajit; do command -v $lua >/dev/null && break; done
needs=$lua
case_project() { sed 's/\[C\]: at 0x[0-9a-f]*/[C]: in ?/'; } # luajit tells an address
case_run() {
    pre $lua "$here/cases/lua_work.lua"
    pre $lua -e 'error("end")'
}

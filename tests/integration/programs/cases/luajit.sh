# LuaJIT: its own heap, coroutines, compiled traces, and blocks of malloc that only its FFI's pointers and, where the headers are
# there, only its light userdata lead to.
needs="luajit cc"
stress=10
case_setup() {
    cat >light.c <<'C'
#include <lua.h>
#include <lauxlib.h>
#include <stdlib.h>
static int light_new(lua_State *L)
{
    int *p = malloc(64);
    *p = luaL_checkint(L, 1);
    lua_pushlightuserdata(L, p);
    return 1;
}
static int light_get(lua_State *L)
{
    lua_pushinteger(L, *(int *)lua_touserdata(L, 1));
    return 1;
}
int luaopen_light(lua_State *L)
{
    lua_register(L, "light_new", light_new);
    lua_register(L, "light_get", light_get);
    return 0;
}
C
    cc -O1 -shared -fPIC -I/usr/include/luajit-2.1 light.c -o light.so || rm -f light.so
    cat >work.lua <<'L'
local ffi, work = require "ffi", arg[1]
ffi.cdef [[ void *malloc(size_t); void free(void *); char *strdup(const char *); ]]
local total, keys, runs = 0, {}, {}
for i = 1, 40000 do keys["k" .. i] = {i, tostring(i)} end
for i = 1, 300 do
    runs[i] = coroutine.wrap(function()
        local parts = {}
        for k = 1, 10 do parts[#parts + 1] = ("x"):rep(k * i % 50); coroutine.yield(#table.concat(parts)) end
    end)
end
for _ = 1, 10 do for i = 1, 300 do total = total + runs[i]() end end
local numbers, texts = {}, {}
for i = 1, 3000 do numbers[i] = ffi.cast("int *", ffi.C.malloc(64)); numbers[i][0] = i end
for i = 1, 3000 do texts[i] = ffi.C.strdup("s" .. i) end
for _ = 1, 30 do for i = 1, 1000 do ffi.C.free(ffi.C.malloc(i)) end end
collectgarbage()
for i = 1, 3000 do total = total + numbers[i][0] + #ffi.string(texts[i]) + keys["k" .. i][1] end
print(total)
package.cpath = work .. "/?.so"
if pcall(require, "light") then
    local lights = {}
    total = 0
    for i = 1, 3000 do lights[i] = light_new(i) end
    for i = 1, 9000 do light_new(-i) end
    for i = 1, 3000 do total = total + light_get(lights[i]) end
    print("light", total)
end
L
}
case_run() { pre luajit "$work/work.lua" "$work"; }

-- Work for lua whose output does not depend on the order of pairs.
local t = {}
for i = 1, 200000 do
    local k = "k" .. (i * 7919 % 5003)
    t[k] = (t[k] or "") .. string.char(97 + i % 26)
end
local keys, total = {}, 0
for k, v in pairs(t) do keys[#keys + 1] = k; total = total + #v end
table.sort(keys)
print(#keys, total, keys[1], t[keys[1]])

local cos = {}
for n = 1, 500 do
    cos[n] = coroutine.create(function(x) for i = 1, 10 do x = coroutine.yield(n .. ":" .. i .. ":" .. tostring(x)) end return "done" end)
end
for round = 1, 11 do
    local last
    for n = 1, 500 do local _; _, last = coroutine.resume(cos[n], string.rep("x", round)) end
    print(round, last)
end

local s = {}
for i = 1, 20000 do s[i] = string.format("item%d=%d", i, i * 7919 % 1013) end
s = table.concat(s, " ")
local n = select(2, s:gsub("item(%d+)=(%d*7)%f[%D]", ""))
print(n, #s, s:sub(1, 30), s:rep(3):reverse():sub(1, 20))

local weak = setmetatable({}, { __mode = "v" })
for i = 1, 1000 do weak[i] = { i } end
collectgarbage() collectgarbage()
print(next(weak))
local ok, e = pcall(function() local function deep(n) if n == 0 then error({ code = 7 }) end return 1 + deep(n - 1) end deep(100) end)
print(ok, e.code)

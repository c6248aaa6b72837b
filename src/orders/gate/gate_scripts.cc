#include "gate_scripts.h"

namespace sluice::orders {
namespace {

// Before each script. Times are microseconds, in which `known` grows strictly.
constexpr const char* kCommon = R"lua(
local G = KEYS[1]
local function at(word) return G .. ':' .. word end
local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function now_ms() return math.floor(now_us() / 1000) end
local function text(number) return string.format('%.0f', number) end
local function units(value)
  local n = tonumber(value)
  if not n or n < 0 or n % 1 ~= 0 or n > 1e15 then return nil end
  return n
end
local function news(word) redis.call('PUBLISH', at('news'), word) end
local function add_known(key)
  local last = redis.call('ZREVRANGE', at('known'), 0, 0, 'WITHSCORES')
  local score = now_us()
  if last[2] and tonumber(last[2]) >= score then score = tonumber(last[2]) + 1 end
  redis.call('ZADD', at('known'), 'NX', text(score), key)
end
local function give(product, quantity)
  if redis.call('HEXISTS', at('stock'), product) == 1 then
    redis.call('HINCRBY', at('stock'), product, quantity)
    news(product)
  end
end
local function leave(user)
  if user == '' then return end
  local n = units(redis.call('HGET', at('users'), user))
  if n and n > 1 then redis.call('HINCRBY', at('users'), user, -1)
  else redis.call('HDEL', at('users'), user) end
end
-- What is read through may hold anything, and stops nothing.
local function view_field(word, field)
  local value = redis.pcall('HGET', at(word), field)
  if type(value) ~= 'table' then return value end
  redis.call('DEL', at(word))
  return false
end
local function view(product, change)
  local n = units(view_field('view:stock', product))
  if n then redis.call('HSET', at('view:stock'), product, text(math.max(0, n + change))) end
end
local function record_of(key)
  local found = redis.call('HGET', at('held'), key)
  if not found then return nil end
  local ok, record = pcall(cjson.decode, found)
  if ok and type(record) == 'table' and type(record.items) == 'table' then return record end
  return {items = {}, user = ''}
end
)lua";

std::string with_common(const char* script) { return std::string(kCommon) + script; }

}  // namespace

// size: one script
std::string reserve_script() {
  return with_common(R"lua(
local epoch = redis.call('HGET', G, 'epoch')
if not epoch then return {'closed'} end
local key, user, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- Each has an empty entry: without it somebody took the key away.
if not redis.call('ZSCORE', at('known'), '') then return {'broken', epoch} end
if redis.call('HEXISTS', at('held'), '') == 0 then return {'broken', epoch} end
if redis.call('ZSCORE', at('known'), key) then return {'known', epoch} end
if limit > 0 then
  local n = units(redis.call('HGET', at('users'), user) or '0')
  if not n then return {'broken', epoch} end
  if n >= limit then return {'user_limit', epoch} end
end
for i = 7, #ARGV, 2 do
  local value = redis.call('HGET', at('stock'), ARGV[i])
  if not value then
    if redis.call('HLEN', at('stock')) ~= tonumber(redis.call('HGET', G, 'products')) then
      return {'broken', epoch}
    end
    return {'unknown', epoch, ARGV[i]}
  end
  local left = units(value)
  if not left then return {'broken', epoch} end
  if left < tonumber(ARGV[i + 1]) then
    local keys = redis.call('ZRANGEBYSCORE', at('known'), '(' .. ARGV[6], '+inf', 'WITHSCORES',
                            'LIMIT', 0, 1000)
    local reply = {'sold_out', epoch, ARGV[i], text(left), ARGV[6], #keys == 2000 and '1' or '0'}
    for j = 1, #keys, 2 do
      reply[#reply + 1] = keys[j]
      reply[5] = keys[j + 1]
    end
    return reply
  end
end
local now = now_ms()
local items = {}
local reply = {'reserved', epoch}
for i = 7, #ARGV, 2 do
  redis.call('HINCRBY', at('stock'), ARGV[i], -tonumber(ARGV[i + 1]))
  items[#items + 1] = {ARGV[i], ARGV[i + 1]}
  reply[#reply + 1] = redis.call('HGET', at('raises'), ARGV[i]) or '0'
end
local until_ms = text(now + tonumber(ARGV[4]))
local counted = ''
if limit > 0 then
  counted = user
  redis.call('HINCRBY', at('users'), user, 1)
end
redis.call('HSET', at('held'), key, cjson.encode(
    {user = counted, owner = ARGV[5], ['until'] = until_ms, items = items}))
redis.call('ZADD', at('expiry'), until_ms, key)
add_known(key)
redis.call('HINCRBY', G, 'ops', 1)
return reply
)lua");
}

std::string settle_script() {
  return with_common(R"lua(
local key, verdict, user = ARGV[1], ARGV[2], ARGV[4]
if verdict == 'accepted' then
  for i = 5, #ARGV, 2 do view(ARGV[i], -tonumber(ARGV[i + 1])) end
end
local is_built = redis.call('EXISTS', G) == 1
local record = record_of(key)
redis.call('ZREM', at('expiry'), key)
if record then
  redis.call('HDEL', at('held'), key)
  if verdict ~= 'accepted' then
    for _, item in ipairs(record.items) do give(item[1], item[2]) end
    leave(record.user or '')
    if verdict == 'refused' then redis.call('ZREM', at('known'), key) end
  end
  if is_built then redis.call('HINCRBY', G, 'ops', 1) end
  return {'settled'}
end
if verdict == 'refused' or redis.call('ZSCORE', at('known'), key) then return {'nothing'} end
add_known(key)
if verdict ~= 'accepted' or redis.call('HGET', G, 'epoch') ~= ARGV[3] then return {'nothing'} end
for i = 5, #ARGV, 2 do
  local left = units(redis.call('HGET', at('stock'), ARGV[i]))
  if left then
    redis.call('HSET', at('stock'), ARGV[i], text(math.max(0, left - tonumber(ARGV[i + 1]))))
  end
end
if user ~= '' then redis.call('HINCRBY', at('users'), user, 1) end
redis.call('HINCRBY', G, 'ops', 1)
return {'charged'}
)lua");
}

std::string raise_script() {
  return with_common(R"lua(
if redis.call('ZADD', at('raised'), 'NX', text(now_us()), ARGV[1]) == 0 then return {'nothing'} end
for i = 3, #ARGV, 2 do
  local product, quantity = ARGV[i], ARGV[i + 1]
  give(product, quantity)
  view(product, tonumber(quantity))
  redis.call('HINCRBY', at('raises'), product, 1)
  if redis.call('EXISTS', at('lock')) == 1 then
    redis.call('HINCRBY', at('late'), product, quantity)
  end
end
leave(ARGV[2])
if redis.call('EXISTS', G) == 1 then redis.call('HINCRBY', G, 'ops', 1) end
return {'raised'}
)lua");
}

// Only when nothing came back since: what the database said then still bounds what it has.
std::string lower_script() {
  return with_common(R"lua(
local product, available = ARGV[1], tonumber(ARGV[2])
if redis.call('HGET', G, 'epoch') ~= ARGV[4] then return {'nothing'} end
if (redis.call('HGET', at('raises'), product) or '0') ~= ARGV[3] then return {'nothing'} end
local left = units(redis.call('HGET', at('stock'), product))
if not left or left <= available then return {'nothing'} end
redis.call('HSET', at('stock'), product, text(available))
redis.call('HINCRBY', G, 'ops', 1)
return {'lowered'}
)lua");
}

std::string look_script() {
  return with_common(R"lua(
local kind = redis.call('TYPE', G)['ok']
if kind ~= 'hash' then return {'closed'} end
local epoch = redis.call('HGET', G, 'epoch')
if not epoch then return {'closed'} end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('HGET', G, 'run') == run then return {'open', epoch} end
redis.call('HDEL', G, 'epoch')
return {'closed'}
)lua");
}

std::string begin_script() {
  return with_common(R"lua(
local kinds = {[''] = 'hash', stock = 'hash', raises = 'hash', held = 'hash', expiry = 'zset',
               known = 'zset', raised = 'zset', users = 'hash', late = 'hash', lock = 'string',
               ['view:stock'] = 'hash', ['view:item'] = 'hash'}
for word, kind in pairs(kinds) do
  local name = word == '' and G or at(word)
  local is = redis.call('TYPE', name)['ok']
  if is ~= 'none' and is ~= kind then redis.call('DEL', name) end
end
local epoch = redis.call('HGET', G, 'epoch')
if epoch and epoch ~= ARGV[3] then return {'open', epoch} end
local holder = redis.call('GET', at('lock'))
if holder and string.sub(holder, 1, #ARGV[4]) ~= ARGV[4] then return {'locked'} end
redis.call('SET', at('lock'), ARGV[1], 'PX', ARGV[2])
redis.call('HDEL', G, 'epoch')
redis.call('DEL', at('late'))
local reply = redis.call('HGETALL', at('held'))
table.insert(reply, 1, 'begun')
return reply
)lua");
}

std::string learn_script() {
  return with_common(R"lua(
if redis.call('GET', at('lock')) ~= ARGV[1] then return {'lost'} end
redis.call('PEXPIRE', at('lock'), ARGV[2])
for i = 3, #ARGV do add_known(ARGV[i]) end
return {'learned'}
)lua");
}

// A reservation that is gone by now was settled meanwhile. Its units count as free: if it was
// accepted the gate says too much, for a moment.
std::string install_script() {
  return with_common(R"lua(
if redis.call('GET', at('lock')) ~= ARGV[1] then return {'lost'} end
local products = tonumber(ARGV[2])
redis.call('DEL', at('stock'), at('users'), at('view:stock'), at('view:item'))
local free = {}
for i = 3, 2 + 2 * products, 2 do free[ARGV[i]] = tonumber(ARGV[i + 1]) end
for i = 3 + 2 * products, #ARGV do
  local record = record_of(ARGV[i])
  for _, item in ipairs(record and record.items or {}) do
    if free[item[1]] then free[item[1]] = free[item[1]] - tonumber(item[2]) end
  end
end
local late = redis.call('HGETALL', at('late'))
for i = 1, #late, 2 do
  if free[late[i]] then free[late[i]] = free[late[i]] + tonumber(late[i + 1]) end
end
for product, left in pairs(free) do
  redis.call('HSET', at('stock'), product, text(math.max(0, left)))
end
redis.call('HSET', at('held'), '', '-')
redis.call('ZADD', at('known'), 0, '')
local epoch = text(now_us())
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', G, 'epoch', epoch, 'run', run, 'products', products, 'ops', 0)
redis.call('DEL', at('lock'), at('late'))
news('')
return {'open', epoch}
)lua");
}

std::string expired_script() {
  return with_common(R"lua(
local day = now_us() - 25 * 3600 * 1000000
redis.call('ZREMRANGEBYSCORE', at('known'), '(0', text(day))
redis.call('ZREMRANGEBYSCORE', at('raised'), '(0', text(day))
-- A reservation that lost its time is looked into now.
if redis.call('ZCARD', at('expiry')) < redis.call('HLEN', at('held')) - 1 then
  for _, key in ipairs(redis.call('HKEYS', at('held'))) do
    if key ~= '' then redis.call('ZADD', at('expiry'), 'NX', 0, key) end
  end
end
local keys = redis.call('ZRANGEBYSCORE', at('expiry'), '-inf', text(now_ms()), 'LIMIT', 0, ARGV[1])
table.insert(keys, 1, 'expired')
return keys
)lua");
}

std::string compare_script() {
  return with_common(R"lua(
local state = redis.call('HMGET', G, 'epoch', 'ops')
if not state[1] then return {'closed'} end
local stock = redis.call('HGETALL', at('stock'))
local reply = {'compare', state[1], state[2] or '0', text(#stock / 2)}
for i = 1, #stock, 2 do
  reply[#reply + 1] = stock[i]
  reply[#reply + 1] = stock[i + 1]
  reply[#reply + 1] = redis.call('HGET', at('raises'), stock[i]) or '0'
end
for _, word in ipairs(redis.call('HGETALL', at('held'))) do reply[#reply + 1] = word end
return reply
)lua");
}

std::string read_entry_script() {
  return with_common(R"lua(
local name = at('order:' .. ARGV[1])
if redis.call('TYPE', name)['ok'] ~= 'string' then return {'entry', text(now_ms()), ''} end
return {'entry', text(now_ms()), redis.call('GET', name)}
)lua");
}

std::string fill_entry_script() {
  return with_common(R"lua(
local name, version, ends = at('order:' .. ARGV[1]), tonumber(ARGV[3]), ARGV[4] + ARGV[5]
if now_ms() >= ends then return {'late'} end
if redis.call('TYPE', name)['ok'] == 'string' then
  local there = tonumber(string.match(redis.call('GET', name), '^(%d+) '))
  if there and there > version then return {'older'} end
end
redis.call('SET', name, ARGV[2], 'PXAT', text(ends))
return {'filled'}
)lua");
}

std::string forget_entry_script() {
  return with_common(R"lua(
local name = at('order:' .. ARGV[1])
if redis.call('TYPE', name)['ok'] == 'string' then
  local there = tonumber(string.match(redis.call('GET', name), '^(%d+) '))
  if there and there >= tonumber(ARGV[2]) then return {'nothing', text(now_ms())} end
end
local is_there = redis.call('DEL', name) == 1
return {is_there and 'forgotten' or 'nothing', text(now_ms())}
)lua");
}

std::string read_view_script() {
  return with_common(R"lua(
local reply = {'view', text(now_ms())}
local function add(item, stock)
  if item and units(stock) then
    reply[#reply + 1] = item
    reply[#reply + 1] = stock
  end
end
if ARGV[1] ~= '' then
  add(view_field('view:item', ARGV[1]), view_field('view:stock', ARGV[1]))
  return reply
end
view_field('view:item', '')
local items = redis.call('HGETALL', at('view:item'))
for i = 1, #items, 2 do
  add(items[i + 1], view_field('view:stock', items[i]))
end
-- One that is not whole is none.
if #reply ~= #items + 2 then return {'view', reply[2]} end
return reply
)lua");
}

std::string fill_view_script() {
  return with_common(R"lua(
local ends = ARGV[1] + ARGV[2]
if now_ms() >= ends then return {'late'} end
redis.call('DEL', at('view:item'), at('view:stock'))
for i = 3, #ARGV, 3 do
  redis.call('HSET', at('view:item'), ARGV[i], ARGV[i + 1])
  redis.call('HSET', at('view:stock'), ARGV[i], ARGV[i + 2])
end
redis.call('PEXPIREAT', at('view:item'), text(ends))
redis.call('PEXPIREAT', at('view:stock'), text(ends))
return {'filled'}
)lua");
}

}  // namespace sluice::orders

-- Give back what an incarnation holds whose heartbeat is gone. ARGV: prefix, incarnation, most messages, most deaths.
-- A message whose workers have died that often goes to the crashed list instead. Checks the heartbeat itself, again.
-- Returns {given back, crashed, left}; left is -1 if the incarnation is alive.
local prefix, name, most, cap = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', prefix .. 'lease:' .. name) == 1 then return {0, 0, -1} end
local held = prefix .. 'held:' .. name
local tags = redis.call('HRANDFIELD', held, most)
local back, crashed = 0, 0
for _, tag in ipairs(tags) do
  local value = redis.call('HGET', held, tag)
  local first = string.find(value, '\n', 1, true)
  local second = string.find(value, '\n', first + 1, true)
  local list, message = string.sub(value, 1, first - 1), string.sub(value, second + 1)
  local deaths = (tonumber(string.sub(value, first + 1, second - 1)) or 0) + 1
  if deaths >= cap then
    redis.call('RPUSH', prefix .. 'crashed', list .. '\n' .. deaths .. '\n' .. message)
    crashed = crashed + 1
  else
    redis.call('RPUSH', list, '~' .. deaths .. '~' .. message)
    local queue = string.match(string.sub(list, #prefix + 1), '^[^\6]*')
    redis.call('LPUSH', prefix .. 'bell:' .. queue, '')
    redis.call('LTRIM', prefix .. 'bell:' .. queue, 0, 63)
    back = back + 1
  end
  redis.call('HDEL', held, tag)
end
local left = redis.call('HLEN', held)
if left == 0 then redis.call('SREM', prefix .. 'leases', name) end
return {back, crashed, left}

-- Look at the limits whose time has come: whoever holds a place and does not run, or whose worker is dead, loses it, and
-- whoever waits is called. ARGV: prefix, prefix of the queues' keys ('' where heartbeats are on another server), how
-- long a heartbeat lasts in ms, most limits. Returns in how many ms to look again, '' while nobody waits.
local p, queues, ttl, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), server_ms()
local keys = redis.call('ZRANGEBYSCORE', p .. 'limits:due', '-inf', now, 'LIMIT', 0, ARGV[4])

-- As platform.leases.lease judges: not for a while after the server was away, when nobody living could be heard.
local function may_judge()
  local since = queues ~= '' and tonumber(redis.call('GET', queues .. 'watch') or nil)
  return since and now - since > ttl
end

local function runs(id)
  local state, runner = unpack(redis.call('HMGET', p .. 'job:' .. id, 'state', 'runner'))
  if state ~= 'running' then return false end
  return not runner or runner == '' or redis.call('EXISTS', queues .. 'lease:' .. runner) == 1 or not may_judge()
end

for _, key in ipairs(keys) do
  local holders = p .. 'limit:' .. key .. ':held'
  for _, id in ipairs(redis.call('ZRANGE', holders, 0, -1)) do
    if not runs(id) then redis.call('ZREM', holders, id) end
  end
  call_next(p, key, now)
end
local following = redis.call('ZRANGE', p .. 'limits:due', 0, 0, 'WITHSCORES')[2]
return following and string.format('%.3f', math.max(0, following - now)) or ''

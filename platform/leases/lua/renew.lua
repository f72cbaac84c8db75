-- A heartbeat. ARGV: prefix, incarnation, ttl in ms. Returns {1 renewed | 0 it was taken for dead and what it held was
-- given back, for how many ms heartbeats (anybody's) have been coming with no gap as long as half a ttl}.
local key, watch, ttl = ARGV[1] .. 'lease:' .. ARGV[2], ARGV[1] .. 'watch', tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = tonumber(redis.call('GET', watch) or now)
redis.call('SET', watch, string.format('%d', since), 'PX', math.floor(ttl / 2))
if redis.call('PEXPIRE', key, ttl) == 1 then return {1, now - since} end
if redis.call('SISMEMBER', ARGV[1] .. 'leases', ARGV[2]) == 1 then
  redis.call('SET', key, '1', 'PX', ttl)
  return {1, now - since}
end
return {0, now - since}

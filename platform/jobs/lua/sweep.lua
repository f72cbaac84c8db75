-- Forget at most ARGV[3] records whose time to be kept is over. ARGV: prefix, now, limit. Returns how many.
local p = ARGV[1]
local due = redis.call('ZRANGEBYSCORE', p .. 'jobs:expiry', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  local key = p .. 'job:' .. id
  local job = read(key)
  if job then
    unindex(p, id, job)
    unlock(p, id, job, '')
  end
  redis.call('DEL', key)
  forget_delayed(p, id)
  redis.call('ZREM', p .. 'jobs:expiry', id)
end
return #due

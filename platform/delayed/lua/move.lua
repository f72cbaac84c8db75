-- Hand what is due to the queues' lists, ring their bells, and call the jobs pending. ARGV: prefix, prefix of the
-- queues' keys, now, most messages. Returns {moved, when the next is due ('' if none is kept)}.
local p, queues, now, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ids = redis.call('ZRANGEBYSCORE', p .. 'delayed', '-inf', now, 'LIMIT', 0, most)
local rings = {}
for _, id in ipairs(ids) do
  local value = redis.call('HGET', p .. 'delayed:messages', id)
  if value then
    local queue = push(queues, value, 'LPUSH')
    rings[queue] = (rings[queue] or 0) + 1
  end
  forget_delayed(p, id)
  ready(p, id)
end
for queue, count in pairs(rings) do ring(queues, queue, count) end
return {#ids, next_due(p)}

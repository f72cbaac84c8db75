-- Give a queue limits, and call those whom they let through now. ARGV: prefix, queue, the limits ('' none): most at once
-- and milliseconds from one start to the next (0 any), then what people want to know of them.
local p, queue = ARGV[1], ARGV[2]
if ARGV[3] == '' then
  redis.call('HDEL', p .. 'queues:limits', queue)
else
  redis.call('HSET', p .. 'queues:limits', queue, ARGV[3])
end
call_next(p, 'queue:' .. queue, server_ms())
redis.call('PUBLISH', p .. 'delayed', 'due')
return 1

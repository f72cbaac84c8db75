-- Let workers take from a queue again. KEYS: hash of paused queues, the queue's bell, then its lists. ARGV: queue.
-- One ring per waiting message, as publishing them would have rung: that many sleeping workers wake at once.
-- Returns 1, or 0 if the queue was not paused.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
local waiting = 0
for i = 3, #KEYS do waiting = waiting + redis.call('LLEN', KEYS[i]) end
for _ = 1, math.min(waiting, 64) do redis.call('LPUSH', KEYS[2], '') end
redis.call('LTRIM', KEYS[2], 0, 63)
return 1

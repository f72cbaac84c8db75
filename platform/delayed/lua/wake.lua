-- Make a message due now. ARGV: prefix, id, now. Returns 1, or 0 if none is kept.
local key = ARGV[1] .. 'job:' .. ARGV[2]
if wake(ARGV[1], ARGV[2], ARGV[3]) == 0 then return 0 end
if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'ready_at', ARGV[3]) end
return 1

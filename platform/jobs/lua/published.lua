-- A unique job whose record was written before its message is published now: it stands for its equals without a limit,
-- and the one it replaces is cancelled. ARGV: prefix, id, now, keep_ms of a cancelled job. Returns 1.
local p, key = ARGV[1], ARGV[1] .. 'job:' .. ARGV[2]
local other = redis.call('HGET', key, 'replaces')
local job = other and read(p .. 'job:' .. other)
if job then stop(p, other, job, ARGV[3], tonumber(ARGV[4])) end
redis.call('HDEL', key, 'publishing', 'replaces')
return 1

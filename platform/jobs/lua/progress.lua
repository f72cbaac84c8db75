-- ARGV: prefix, id, attempt, progress JSON. Returns {1, cancel requested} or {0}: this attempt no longer holds the job.
local key = ARGV[1] .. 'job:' .. ARGV[2]
local job = read(key)
if not job or job.state ~= 'running' or job.attempts ~= ARGV[3] then return {0} end
redis.call('HSET', key, 'progress', ARGV[4])
announce(ARGV[1], ARGV[2], 'running')
return {1, job.cancel_requested_at}

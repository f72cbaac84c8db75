-- ARGV: prefix, id, now, keep_ms. Waiting jobs are cancelled here and now; a running one is asked.
-- Returns {verdict, state}: 'cancelled', 'asked', 'final' or 'unknown'.
local p, id, now, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = p .. 'job:' .. id
local job = read(key)
if not job then return {'unknown', ''} end
if job.state == 'running' then
  redis.call('HSETNX', key, 'cancel_requested_at', now)
  announce(p, id, 'running')
  return {'asked', 'running'}
end
if job.state == 'completed' or job.state == 'failed' or job.state == 'cancelled' then return {'final', job.state} end
unindex(p, id, job)
job.state = 'cancelled'
index(p, id, job)
redis.call('HSET', key, 'state', 'cancelled', 'finished_at', now)
redis.call('ZADD', p .. 'jobs:expiry', tonumber(now) + keep, id)
redis.call('HINCRBY', p .. 'metrics:jobs', job.task .. '\31' .. job.queue .. '\31cancelled', 1)
announce(p, id, 'cancelled')
return {'cancelled', 'cancelled'}

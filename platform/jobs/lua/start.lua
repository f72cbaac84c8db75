-- A worker begins. ARGV: prefix, id, now, retries, allowed states (comma-separated), the hash that holds the delivery
-- ('' if none does), its tag, redelivered (0|1), then the pairs of a record to make if none is kept (published by
-- somebody who writes no records).
-- Returns {1, attempt, cancel requested} or {0, why}: it ended, a later try is under way, the delivery has gone to
-- another worker, or this is a second copy of a message whose first is being worked on.
local p, id, now, retries, allowed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local held, tag, redelivered = ARGV[6], ARGV[7], ARGV[8]
local key = p .. 'job:' .. id
if held ~= '' and redis.call('HEXISTS', held, tag) == 0 then return {0, 'held by another worker'} end
local job = read(key)
if not job then
  local flat, new = pairs_from(9)
  redis.call('HSET', key, 'state', 'pending', 'attempts', 0, 'retries', retries, unpack(flat))
  new.state = 'pending'
  index(p, id, new)
  job = read(key)
end
if not string.find(allowed, ',' .. job.state .. ',', 1, true) then return {0, job.state} end
if job.state == 'running' and redelivered == '0' then return {0, 'running'} end
if retries < (tonumber(job.retries) or 0) then return {0, job.state} end
local attempt = redis.call('HINCRBY', key, 'attempts', 1)
unindex(p, id, job)
job.state = 'running'
index(p, id, job)
redis.call('HSET', key, 'state', 'running', 'started_at', ARGV[3])
redis.call('HDEL', key, 'progress')
observe(p, 'wait', job.task, job.queue, now - (tonumber(job.ready_at) or now))
announce(p, id, 'running')
return {1, attempt, job.cancel_requested_at}

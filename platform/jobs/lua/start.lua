-- A worker begins. ARGV: prefix, id, now, retries, allowed states (comma-separated), then the pairs of a record
-- to make if none is kept (published by somebody who writes no records).
-- Returns {1, attempt, cancel requested} or {0, state}: refused, because it ended or a later try is under way.
local p, id, now, retries, allowed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local key = p .. 'job:' .. id
local job = read(key)
if not job then
  local flat, new = pairs_from(6)
  redis.call('HSET', key, 'state', 'pending', 'attempts', 0, 'retries', retries, unpack(flat))
  new.state = 'pending'
  index(p, id, new)
  job = read(key)
end
if not string.find(allowed, ',' .. job.state .. ',', 1, true) then return {0, job.state} end
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

-- A job leaves a state. ARGV: prefix, id, now, to, allowed states (comma-separated), attempt ('' = any),
-- keep_ms (0 = not final), how many of the values that follow are pairs to set; the rest are pairs of a record to
-- make if none is kept.
-- Returns {1, to} or {0, state}: refused (ended before, or another attempt holds it).
local p, id, now, to, allowed, attempt, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local key = p .. 'job:' .. id
local first = 9 + tonumber(ARGV[8])
local fresh, new = pairs_from(first)
local set = {}
for i = 9, first - 1 do set[#set + 1] = ARGV[i] end
local job = read(key)
if not job then
  -- A later member of a chain whose earlier one failed: never published, yet it has an outcome.
  if not new.task then return {0, ''} end
  redis.call('HSET', key, 'attempts', 0, unpack(fresh))
  job = {state = '', queue = new.queue, task = new.task, owner = new.owner, created_at = new.created_at,
         attempts = '0', started_at = ''}
else
  if not string.find(allowed, ',' .. job.state .. ',', 1, true) then return {0, job.state} end
  if attempt ~= '' and attempt ~= job.attempts then return {0, job.state} end
  unindex(p, id, job)
end
local was = job.state
job.state = to
index(p, id, job)
redis.call('HSET', key, 'state', to, unpack(set))
if keep > 0 then
  redis.call('HSET', key, 'finished_at', ARGV[3])
  redis.call('HDEL', key, 'cancel_requested_at')
  enter(p .. 'jobs:expiry', math.max(now + keep, unlock(p, id, job, to)), id)
  add(p .. 'metrics:jobs', job.task .. '\31' .. job.queue .. '\31' .. to, 1)
  tally(p, job.queue, to, now)
  if was == 'running' and job.started_at ~= '' then
    observe(p, 'run', job.task, job.queue, now - tonumber(job.started_at))
  end
end
if to == 'retrying' then
  redis.call('HSETNX', key, 'first_failed_at', ARGV[3])
  add(p .. 'metrics:jobs', job.task .. '\31' .. job.queue .. '\31' .. 'retried', 1)
end
announce(p, id, to)
return {1, to}

-- A message is about to be published. ARGV: prefix, id, state, retries, replaced (0|1), then the record's pairs.
-- Returns {verdict, state}: 'created'; 'updated' (a retry, or a task replaced by another under the same id);
-- 'kept' (published before); 'final' (already ended).
local p, id, state, retries, replaced = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local key = p .. 'job:' .. id
local flat, new = pairs_from(6)
local job = read(key)
if not job then
  redis.call('HSET', key, 'state', state, 'attempts', 0, 'retries', retries, unpack(flat))
  new.state = state
  index(p, id, new)
  announce(p, id, state)
  return {'created', state}
end
local is_retry = retries > (tonumber(job.retries) or 0)
if job.state == 'completed' or job.state == 'failed' or job.state == 'cancelled' then return {'final', job.state} end
if not is_retry and replaced == '0' then return {'kept', job.state} end
unindex(p, id, job)
local to = is_retry and 'retrying' or state
redis.call('HSET', key, 'state', to, 'retries', retries, 'queue', new.queue, 'task', new.task,
           'priority', new.priority, 'ready_at', new.ready_at)
job.state, job.queue, job.task = to, new.queue, new.task
index(p, id, job)
announce(p, id, to)
return {'updated', job.state}

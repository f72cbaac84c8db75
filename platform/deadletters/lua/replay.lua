-- A dead letter goes back to its queue, and its job is pending again. ARGV: prefix, letter id, now, a name of this act,
-- the revision that was read, when to forget the letter, the job's max_retries (for a record to be made anew), the
-- event to remember, of a unique job what it locks ('' if that is not known; it goes ahead whether it gets that or not),
-- until when the caller promises to have published the message, or '' and then: the queue's list, its bell, the message, which are
-- published here.
-- Returns {1, 'done' | 'kept' (this very act, told again)}, or {0, 'unknown' | 'changed' (read it again) | its state},
-- or {0, 'job', the state of a job that has not failed}.
local p, id, now, act = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local letter = read_letter(p, id)
if not letter then return {0, 'unknown'} end
if letter.act == act then return {1, 'kept'} end
if letter.state ~= 'dead' then return {0, letter.state} end
if letter.revision ~= ARGV[5] then return {0, 'changed'} end

if letter.job_id ~= '' then
  local key = p .. 'job:' .. letter.job_id
  local job = read(key)
  if job and job.state ~= 'failed' then return {0, 'job', job.state} end
  if job then
    unindex(p, letter.job_id, job)
  else
    redis.call('HSET', key, 'task', letter.task, 'priority', letter.priority, 'owner', letter.owner,
      'app_id', letter.app_id, 'parent_id', '', 'max_retries', ARGV[7], 'created_at', now,
      'attempts', letter.attempts, 'error', letter.error, 'dead_letter_id', id)
    job = {task = letter.task, owner = letter.owner, created_at = now}
  end
  job.state, job.queue = 'pending', letter.queue
  index(p, letter.job_id, job)
  redis.call('HSET', key, 'state', 'pending', 'queue', letter.queue, 'retries', 0, 'ready_at', now)
  redis.call('HDEL', key, 'finished_at', 'cancel_requested_at', 'progress', 'deaths', 'lost', 'expires_at')
  local text = ARGV[9]
  -- The caller does not know the task; with other arguments the job is another call than the one it was.
  if text == '' and job.unique and job.unique ~= '' and redis.call('HEXISTS', p .. 'dead:letter:' .. id, 'edited') == 0 then
    text = job.unique .. ' leave - -'
  end
  if text ~= '' then lock(p, letter.job_id, text, now, job.created_at, now) end
  redis.call('ZREM', p .. 'jobs:expiry', letter.job_id)
  announce(p, letter.job_id, 'pending')
end

remember_death(p, id, letter)
remember(p, id, ARGV[8])
move_letter(p, id, letter, 'replayed', ARGV[6])
redis.call('HSET', p .. 'dead:letter:' .. id, 'act', act)
redis.call('HINCRBY', p .. 'dead:letter:' .. id, 'replayed', 1)
if ARGV[10] ~= '' then
  redis.call('ZADD', p .. 'dead:publishing', ARGV[10], id)
else
  redis.call('LPUSH', ARGV[11], ARGV[13])
  redis.call('LPUSH', ARGV[12], '')
  redis.call('LTRIM', ARGV[12], 0, 63)
end
return {1, 'done'}

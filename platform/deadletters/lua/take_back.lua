-- A replayed letter whose message was not published is dead as before, and its job failed; unless a worker has begun
-- the job after all. ARGV: prefix, letter id, the act ('' any), now, how long to keep the job's record in ms.
-- Returns 1, or 0 if it stays replayed.
local p, id, act, now, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
redis.call('ZREM', p .. 'dead:publishing', id)
local letter = read_letter(p, id)
if not letter or letter.state ~= 'replayed' or (act ~= '' and letter.act ~= act) then return 0 end
if letter.job_id ~= '' then
  local key = p .. 'job:' .. letter.job_id
  local job = read(key)
  if job then
    if job.state ~= 'pending' then return 0 end
    unindex(p, letter.job_id, job)
    job.state = 'failed'
    index(p, letter.job_id, job)
    redis.call('HSET', key, 'state', 'failed', 'finished_at', letter.dead_at)
    redis.call('ZADD', p .. 'jobs:expiry', tonumber(now) + keep, letter.job_id)
    unlock(p, letter.job_id, job, 'failed')
    announce(p, letter.job_id, 'failed')
  end
end
redis.call('RPOP', p .. 'dead:history:' .. id, 2)
move_letter(p, id, letter, 'dead', nil)
redis.call('HINCRBY', p .. 'dead:letter:' .. id, 'replayed', -1)
redis.call('HDEL', p .. 'dead:letter:' .. id, 'act')
return 1

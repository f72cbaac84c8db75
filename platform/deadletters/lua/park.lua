-- A message will not be delivered again. ARGV: prefix, letter id, now, job id ('' unknown), the hash that holds the
-- delivery ('' if none does), its tag, only if it is held (0|1), only if the job has failed (0|1), how long to keep the
-- job's record in ms, a name of this delivery that no other has ('' unknown), when it first failed ('' now), the message
-- (what is held is used instead), then the letter's pairs.
-- Of a job that has completed or was cancelled no letter is made. A death told twice changes nothing the second time.
-- Returns {1, 'new' | 'again' (after a replay) | 'kept'} or {0, why}; the delivery is over with every answer but
-- 'held by another worker', 'other' (another message with the id of a job that died: it needs a letter of its own) and,
-- where only failed jobs were meant, the state of one that has not.
local p, id, now, job_id, held, tag = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local keep, delivery, first_failed_at, message = tonumber(ARGV[9]), ARGV[10], ARGV[11], ARGV[12]
local _, new = pairs_from(13)
local letter_key, job_key = p .. 'dead:letter:' .. id, p .. 'job:' .. job_id

local function over(done, what)
  if held ~= '' then redis.call('HDEL', held, tag) end
  return {done, what}
end

local letter = read_letter(p, id)
if letter and delivery ~= '' and letter.delivery == delivery then return over(1, 'kept') end
if held ~= '' then
  local value = redis.call('HGET', held, tag)
  if value then
    local _, stop = string.find(value, '^[^\n]*\n[^\n]*\n')
    message = string.sub(value, stop + 1)
  elseif ARGV[7] == '1' or message == '' then
    return {0, 'held by another worker'}
  end
end
local job = job_id ~= '' and read(job_key) or nil
if ARGV[8] == '1' and (not job or job.state ~= 'failed') then return {0, job and job.state or ''} end
if job and (job.state == 'completed' or job.state == 'cancelled') then return over(0, job.state) end

-- The same death again: the job has failed already, and not since this letter was written.
local function is_known()
  if not letter or letter.state == 'replayed' then return false end
  if not job then return letter.state == 'dead' end
  if job.state ~= 'failed' then return false end
  return (tonumber(redis.call('HGET', job_key, 'finished_at') or '0') or 0) <= tonumber(letter.dead_at)
end
if is_known() then
  if letter.print ~= '' and new.print ~= '' and letter.print ~= new.print then return {0, 'other'} end
  return over(1, 'kept')
end

new.attempts = math.max(tonumber(new.attempts), job and tonumber(job.attempts) or 0)
if job_id ~= '' then
  redis.call('HSETNX', job_key, 'dead_letter_id', id) -- first: whoever is told that it failed reads this as well
  if not job or job.state ~= 'failed' then
    fail_job(p, job_id, now, keep, new.error, job, new)
  else
    announce(p, job_id, 'failed')
  end
end
if letter then
  if letter.state ~= 'replayed' then remember_death(p, id, letter) end
  unlist_letter(p, id, letter)
  redis.call('ZREM', p .. 'dead:expiry', id)
end
redis.call('HDEL', letter_key, 'edited')
for name, value in pairs(new) do
  if value == '' then redis.call('HDEL', letter_key, name) else redis.call('HSET', letter_key, name, value) end
end
redis.call('HSET', letter_key, 'state', 'dead', 'dead_at', now, 'message', message, 'job_id', job_id,
  'attempts', new.attempts, 'delivery', delivery)
if first_failed_at == '' then
  first_failed_at = job_id ~= '' and redis.call('HGET', job_key, 'first_failed_at') or now
end
redis.call('HSETNX', letter_key, 'first_failed_at', first_failed_at)
redis.call('HINCRBY', letter_key, 'revision', 1)
new.state, new.dead_at = 'dead', now
list_letter(p, id, new)
return over(1, letter and 'again' or 'new')

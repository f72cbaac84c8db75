-- The process that ran a job, or was just about to, is gone, its worker is not. ARGV: prefix, id, now, the worker's
-- incarnation, most deaths, a ticket of this call's own so that it may be repeated after a lost answer, 1 if it counts as a
-- death, 0 if the worker stops and gives it back, and which try the message is.
-- Returns {verdict, deaths}: 'again', the job waits and may be given back; 'enough', it has cost that many
-- processes and must not run again; 'not ours', another worker has it meanwhile, it has ended, or a later try is to come.
local p, id, now = ARGV[1], ARGV[2], ARGV[3]
local key = p .. 'job:' .. id
local job = read(key)
if not job then return {'again', 0} end -- whose publisher writes no records, and nobody has begun it
if redis.call('HGET', key, 'lost') == ARGV[6] then
  return {job.state == 'running' and 'enough' or 'again', tonumber(redis.call('HGET', key, 'deaths'))}
end
local has_begun = job.state == 'running'
local waits = job.state == 'pending' or job.state == 'scheduled' or job.state == 'retrying'
if not has_begun and not waits then return {'not ours', 0} end
if has_begun and redis.call('HGET', key, 'runner') ~= ARGV[4] then return {'not ours', 0} end
local is_old = tonumber(ARGV[8]) < (tonumber(job.retries) or 0)
if waits and (is_old or ARGV[7] == '0') then return {'not ours', 0} end -- given back, it waits as it did
local deaths = redis.call('HINCRBY', key, 'deaths', ARGV[7])
redis.call('HSET', key, 'lost', ARGV[6])
if ARGV[7] == '1' then redis.call('HSETNX', key, 'first_failed_at', now) end
if ARGV[7] == '1' and deaths >= tonumber(ARGV[5]) then return {'enough', deaths} end
if waits then return {'again', deaths} end
unindex(p, id, job)
job.state = 'pending'
index(p, id, job)
redis.call('HSET', key, 'state', 'pending', 'ready_at', now)
announce(p, id, 'pending')
return {'again', deaths}

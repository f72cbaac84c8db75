-- The process that ran a job is gone, its worker is not. ARGV: prefix, id, now, the worker's incarnation, most deaths, a
-- ticket of this call's own so that it may be repeated after a lost answer, and 1 if it counts as a
-- death, 0 if the worker stops and gives it back.
-- Returns {verdict, deaths}: 'again', the job waits again and may be given back; 'enough', it has cost that many
-- processes and must not run again; 'not ours', another worker has it meanwhile, or it has ended.
local p, id, now = ARGV[1], ARGV[2], ARGV[3]
local key = p .. 'job:' .. id
local job = read(key)
if not job then return {'not ours', 0} end
if redis.call('HGET', key, 'lost') == ARGV[6] then
  return {job.state == 'pending' and 'again' or 'enough', tonumber(redis.call('HGET', key, 'deaths'))}
end
if job.state ~= 'running' or redis.call('HGET', key, 'runner') ~= ARGV[4] then return {'not ours', 0} end
local deaths = redis.call('HINCRBY', key, 'deaths', ARGV[7])
redis.call('HSET', key, 'lost', ARGV[6])
if ARGV[7] == '1' then redis.call('HSETNX', key, 'first_failed_at', now) end
if ARGV[7] == '1' and deaths >= tonumber(ARGV[5]) then return {'enough', deaths} end
unindex(p, id, job)
job.state = 'pending'
index(p, id, job)
redis.call('HSET', key, 'state', 'pending', 'ready_at', now)
announce(p, id, 'pending')
return {'again', deaths}

-- Hand out a run: record its job, give its message to its queue or to the schedule of delayed jobs, and move on to the
-- next, all or nothing. ARGV: prefix, term, id, revision, when it is due ('' for a run that somebody asked for), when the
-- next one is ('' never), now, when this run was due, how many are left out, what to do about a run that has not ended
-- (allow, skip, replace), keep_ms of a cancelled job, prefix of the queues' keys, when the message is to be in its queue
-- ('': now; the queues are beside the records), queue, priority, envelope, then as create.lua.
-- Returns {verdict, the other job's id}: 'fired'; 'overlapped' and 'not_unique' of what moved on without a job;
-- 'deposed', 'gone', 'changed' of what did not happen.
local p, id, due, now, key = ARGV[1], ARGV[3], ARGV[5], ARGV[7], ARGV[1] .. 'schedule:' .. ARGV[3]
local why = refusal(p, ARGV[2], id, ARGV[4], due)
if why then return {why, ''} end
local job_id = ARGV[18]

local function move_on(outcome)
  if due ~= '' then set_next(p, id, ARGV[6]) end
  count_runs(p, id, outcome, ARGV[9])
end

local last = redis.call('HGET', key, 'last_job')
local before = last and last ~= job_id and read(p .. 'job:' .. last)
local is_under_way = before and string.find(',pending,scheduled,running,retrying,', ',' .. before.state .. ',', 1, true)
if is_under_way and ARGV[10] == 'skip' then
  if due ~= '' then move_on('overlapped') end
  return {'overlapped', last}
end
if is_under_way and ARGV[10] == 'replace' then stop(p, last, before, now, tonumber(ARGV[11])) end

local verdict = create(17)
if verdict[1] == 'taken' then
  if due ~= '' then move_on('not_unique') end
  return {'not_unique', verdict[2]}
end
if verdict[1] == 'created' then
  if ARGV[13] == '' then
    local queue = push(ARGV[12], ARGV[14] .. '\n' .. ARGV[15] .. '\n\n' .. ARGV[16], 'LPUSH')
    ring(ARGV[12], queue, 1)
  else
    keep(p, job_id, ARGV[13], ARGV[14], ARGV[15], '', ARGV[16])
    redis.call('PUBLISH', p .. 'delayed', 'due')
  end
  if ARGV[8] ~= '' then
    observe(p, 'lateness', redis.call('HGET', p .. 'job:' .. job_id, 'task'), ARGV[14], now - ARGV[8])
  end
end
redis.call('HSET', key, 'last_run', now, 'last_job', job_id, 'error', '')
redis.call('HINCRBY', key, 'runs', 1)
move_on('fired')
return {'fired', ''}

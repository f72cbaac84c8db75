-- Shared by the scripts of schedules. `schedule:<id>` is one: `definition` (JSON), `revision`, `paused` (1 or ''), `next`
-- (ms since 1970, '' for none), `last_run`, `last_job`, `error`, `runs`, `missed`. `schedules` has every id by its
-- creation, `schedules:owner:<owner>` one account's; `schedules:due` those that are not paused by when they are due;
-- `schedules:names` the ids by owner (or source) and name. `schedules:acting` is the term of the scheduler that acts.

-- When it is due next.
local function set_next(p, id, at)
  redis.call('HSET', p .. 'schedule:' .. id, 'next', at)
  if at == '' then
    redis.call('ZREM', p .. 'schedules:due', id)
  else
    redis.call('ZADD', p .. 'schedules:due', at, id)
  end
end

-- Why nothing may be done in that term, to that revision, about the run due at that time; '' for any of them.
local function refusal(p, term, id, revision, due)
  if term ~= '' and redis.call('GET', p .. 'schedules:acting') ~= term then return 'deposed' end
  local known = redis.call('HMGET', p .. 'schedule:' .. id, 'revision', 'next')
  if not known[1] then return 'gone' end
  if revision ~= '' and known[1] ~= revision then return 'changed' end
  if due ~= '' and known[2] ~= due then return 'changed' end
  return nil
end

-- What became of runs, for /metrics; of the missed ones also in the schedule.
local function count_runs(p, id, outcome, missed)
  redis.call('HINCRBY', p .. 'metrics:schedules', outcome, 1)
  if tonumber(missed) > 0 then
    redis.call('HINCRBY', p .. 'metrics:schedules', 'missed', missed)
    redis.call('HINCRBY', p .. 'schedule:' .. id, 'missed', missed)
  end
end

-- What is written to keys that many jobs share. Where one script does many calls (many.lua), it is kept until the last
-- one was made and written once for all: `sets` is key -> id -> score, or false to remove; `counters` key -> field -> by.
local later

local function enter(key, score, id)
  if not later then return redis.call('ZADD', key, score, id) end
  later.sets[key] = later.sets[key] or {}
  later.sets[key][id] = score
end

local function leave(key, id)
  if not later then return redis.call('ZREM', key, id) end
  later.sets[key] = later.sets[key] or {}
  later.sets[key][id] = false
end

-- A hash's counter; `life` is that of the hash, from its first field on.
local function add(key, field, by, life)
  if later then
    local counters = later.counters[key] or {life = life, by = {}}
    later.counters[key] = counters
    counters.by[field] = (counters.by[field] or 0) + by
  elseif redis.call('HINCRBY', key, field, by) == by and life then
    redis.call('EXPIRE', key, life)
  end
end

-- Of what one command takes at once: Lua's stack has room for some 8 000 values.
local MOST_VALUES = 4000

-- One command with a key and many values, in as many pieces as it takes.
local function call_with(command, key, values)
  for first = 1, #values, MOST_VALUES do
    redis.call(command, key, unpack(values, first, math.min(first + MOST_VALUES - 1, #values)))
  end
end

-- Write what was kept until now.
local function write_later()
  for key, members in pairs(later.sets) do
    local gone, here = {}, {}
    for id, score in pairs(members) do
      if score then
        here[#here + 1] = score
        here[#here + 1] = id
      else
        gone[#gone + 1] = id
      end
    end
    call_with('ZREM', key, gone)
    call_with('ZADD', key, here)
  end
  for key, counters in pairs(later.counters) do
    local is_new = counters.life and redis.call('EXISTS', key) == 0
    for field, by in pairs(counters.by) do redis.call('HINCRBY', key, field, by) end
    if is_new then redis.call('EXPIRE', key, counters.life) end
  end
end

-- Shared by every script below. A job stands in exactly four sorted sets, each split by state and
-- scored by its creation time: all jobs, its queue's, its task's, its owner's.
local function index_keys(p, state, queue, task, owner)
  return {
    p .. 'jobs:' .. state,
    p .. 'jobs:queue:' .. queue .. ':' .. state,
    p .. 'jobs:task:' .. task .. ':' .. state,
    p .. 'jobs:owner:' .. owner .. ':' .. state,
  }
end

local leave_limits -- in limits.lua

local function unlist(p, id, job)
  for _, key in ipairs(index_keys(p, job.state, job.queue, job.task, job.owner)) do
    leave(key, id)
  end
end

-- Before every change of state but a start and its refusal.
local function unindex(p, id, job)
  leave_limits(p, id, job)
  unlist(p, id, job)
end

local function index(p, id, job)
  for _, key in ipairs(index_keys(p, job.state, job.queue, job.task, job.owner)) do
    enter(key, job.created_at, id)
  end
end

local NAMES = {'state', 'queue', 'task', 'owner', 'created_at', 'attempts', 'retries', 'ready_at', 'started_at',
               'cancel_requested_at', 'limits', 'unique'}

local function read(key)
  local values = redis.call('HMGET', key, unpack(NAMES))
  if not values[1] then return nil end
  local job = {}
  for i, name in ipairs(NAMES) do job[name] = values[i] or '' end
  return job
end

-- Field and value pairs from ARGV[first] on, as a table for HSET and as a map.
local function pairs_from(first)
  local flat, map = {}, {}
  for i = first, #ARGV, 2 do
    flat[#flat + 1] = ARGV[i]
    flat[#flat + 1] = ARGV[i + 1]
    map[ARGV[i]] = ARGV[i + 1]
  end
  return flat, map
end

local BUCKETS_MS = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000}

local function observe(p, name, task, queue, ms)
  if ms < 0 then ms = 0 end
  local slot = #BUCKETS_MS + 1
  for i, bound in ipairs(BUCKETS_MS) do
    if ms <= bound then slot = i break end
  end
  local key, field = p .. 'metrics:' .. name, task .. '\31' .. queue .. '\31'
  add(key, field .. slot, 1)
  add(key, field .. 'sum', ms)
end

-- What happened to a queue's jobs in ten seconds, for its rates; each such hash passes after five minutes.
local function tally(p, queue, what, now, times)
  add(p .. 'queues:tally:' .. math.floor(now / 10000), queue .. '\31' .. what, times or 1, 300)
end

-- After every change of a record that its followers are to see. `revision` counts them, so that whoever reads it twice can
-- tell the newer from the older; of a job without a record there is nothing to count.
local function announce(p, id, state)
  local key = p .. 'job:' .. id
  if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, 'revision', 1) end
  redis.call('PUBLISH', key, state)
end

-- Unique jobs (platform.unique): `unique:<hash>` names the job that stands for all its equals, in whose record the field
-- `unique` is its policy and that hash. The key is removed when the job ends, for tidiness alone: what it names counts
-- by its state. Returns until when a job that has ended goes on to count, in ms since 1970, or 0.
local function unlock(p, id, job, to)
  if not job.unique or job.unique == '' then return 0 end
  local policy, hash = string.match(job.unique, '^(%S+) (%S+)$')
  if to == 'completed' and tonumber(policy) then return job.created_at + policy end
  if redis.call('GET', p .. 'unique:' .. hash) == id then redis.call('DEL', p .. 'unique:' .. hash) end
  return 0
end

-- The last transition of a job that waits or runs; the caller has checked that it may be made.
local function close(p, id, job, to, now, keep)
  local key = p .. 'job:' .. id
  unindex(p, id, job)
  job.state = to
  index(p, id, job)
  redis.call('HSET', key, 'state', to, 'finished_at', string.format('%.0f', now))
  redis.call('HDEL', key, 'cancel_requested_at')
  enter(p .. 'jobs:expiry', now + keep, id)
  unlock(p, id, job, to)
  add(p .. 'metrics:jobs', job.task .. '\31' .. job.queue .. '\31' .. to, 1)
  tally(p, job.queue, to, now)
  announce(p, id, to)
end

-- What waits for its time (platform.delayed): `delayed` says when a job's message is due, `delayed:messages` what it is
-- and where it goes. Deaths are '' for a message that was never given back.
local function keep(p, id, due, queue, priority, deaths, message)
  redis.call('ZADD', p .. 'delayed', due, id)
  redis.call('HSET', p .. 'delayed:messages', id, queue .. '\n' .. priority .. '\n' .. deaths .. '\n' .. message)
end

-- A kept message to its queue's list, by LPUSH behind the others, by RPUSH before them. Returns the queue.
local function push(queues, value, command)
  local queue, priority, deaths, message = string.match(value, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  local list = queues .. queue
  if priority ~= '9' then list = list .. '\6\22' .. (9 - priority) end
  if deaths ~= '' then message = '~' .. deaths .. '~' .. message end
  redis.call(command, list, message)
  return queue
end

local function ring(queues, queue, times)
  for _ = 1, math.min(times, 64) do redis.call('LPUSH', queues .. 'bell:' .. queue, '') end
  redis.call('LTRIM', queues .. 'bell:' .. queue, 0, 63)
end

local function wake(p, id, now)
  local due = redis.call('ZSCORE', p .. 'delayed', id)
  if not due then return 0 end
  if tonumber(due) > tonumber(now) then redis.call('ZADD', p .. 'delayed', now, id) end
  return 1
end

local function forget_delayed(p, id)
  redis.call('ZREM', p .. 'delayed', id)
  redis.call('HDEL', p .. 'delayed:messages', id)
end

local function next_due(p)
  return redis.call('ZRANGE', p .. 'delayed', 0, 0, 'WITHSCORES')[2] or ''
end

-- A scheduled job's message is in its queue. A retrying one is called so until it runs.
local function ready(p, id)
  local key = p .. 'job:' .. id
  local job = read(key)
  if not job or job.state ~= 'scheduled' then return end
  unlist(p, id, job)
  job.state = 'pending'
  index(p, id, job)
  redis.call('HSET', key, 'state', 'pending')
  announce(p, id, 'pending')
end

-- Cancel a job: one that waits here and now, one that runs is asked. Returns {verdict, state}.
local function stop(p, id, job, now, keep)
  if job.state == 'running' then
    redis.call('HSETNX', p .. 'job:' .. id, 'cancel_requested_at', now)
    announce(p, id, 'running')
    return {'asked', 'running'}
  end
  if job.state == 'completed' or job.state == 'failed' or job.state == 'cancelled' then return {'final', job.state} end
  wake(p, id, now) -- a worker drops its message now, not in months
  close(p, id, job, 'cancelled', tonumber(now), keep)
  return {'cancelled', 'cancelled'}
end

-- Where a policy is a number of ms, its key's expiry is the end of that time; a completed job counts until then.
local COVERED = {start = ',pending,scheduled,retrying,', done = ',pending,scheduled,retrying,running,'}
local COVERED_FOR_A_TIME = ',pending,scheduled,retrying,running,completed,'
local LONGEST_LOCK_MS = 366 * 86400000 -- from when the job is due; no job is under way for as long as that

-- Whether a job stands for its equals. One that waits does not if it will never run: its time is over, or whoever was to
-- publish it died before.
local function stands(p, id, job, policy, now)
  if not string.find(COVERED[policy] or COVERED_FOR_A_TIME, ',' .. job.state .. ',', 1, true) then return false end
  if job.state == 'running' or job.state == 'completed' then return true end
  local times = redis.call('HMGET', p .. 'job:' .. id, 'expires_at', 'publishing')
  if times[1] and now > tonumber(times[1]) then return false end
  return not (times[2] and job.attempts == '0' and now > tonumber(times[2]))
end

-- The job that stands for a call, if it is another one than `id`: its id and its record.
local function standing(p, id, policy, hash, now)
  local other = redis.call('GET', p .. 'unique:' .. hash)
  local job = other and other ~= id and read(p .. 'job:' .. other)
  if job and stands(p, other, job, policy, tonumber(now)) then return other, job end
end

-- Make a job stand for its equals. `text`: policy, hash, what to do about another that does so already ('refuse';
-- 'leave' it; or cancel it and keep its record so many ms), when the job expires and until when it is published by
-- another call ('-': none). In the latter case the other one is cancelled by that call (published.lua).
-- Returns the other one's id where this one is refused.
local function lock(p, id, text, now, created_at, due)
  local policy, hash, action, expires, publishing = string.match(text, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  local name, key = p .. 'unique:' .. hash, p .. 'job:' .. id
  local other, job = standing(p, id, policy, hash, now)
  if other then
    if action == 'refuse' then return other end
    if action == 'leave' then return nil end
    if publishing ~= '-' then
      redis.call('HSET', key, 'replaces', other)
    else
      stop(p, other, job, now, tonumber(action))
    end
  end
  local most_ms = tonumber(policy) and created_at + policy - now or LONGEST_LOCK_MS + math.max(due - now, 0)
  if most_ms <= 0 then return nil end
  redis.call('SET', name, id, 'PX', string.format('%.0f', most_ms))
  redis.call('HSET', key, 'unique', policy .. ' ' .. hash)
  if expires ~= '-' then redis.call('HSET', key, 'expires_at', expires) end
  if publishing ~= '-' then redis.call('HSET', key, 'publishing', publishing) end
  return nil
end

-- Record a job about to be published; ARGV from `first` on as in create.lua.
local function create(first)
  local p, id, state, retries, replaced = ARGV[first], ARGV[first + 1], ARGV[first + 2], tonumber(ARGV[first + 3]), ARGV[first + 4]
  local key = p .. 'job:' .. id
  local flat, new = pairs_from(first + 6)
  local job = read(key)
  if not job then
    if ARGV[first + 5] ~= '' then
      local other = lock(p, id, ARGV[first + 5], new.created_at, new.created_at, new.ready_at)
      if other then return {'taken', other} end
    end
    redis.call('HSET', key, 'state', state, 'attempts', 0, 'retries', retries, unpack(flat))
    new.state = state
    index(p, id, new)
    tally(p, new.queue, 'submitted', new.created_at)
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
end

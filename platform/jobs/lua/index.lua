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

local function unindex(p, id, job)
  for _, key in ipairs(index_keys(p, job.state, job.queue, job.task, job.owner)) do
    redis.call('ZREM', key, id)
  end
end

local function index(p, id, job)
  for _, key in ipairs(index_keys(p, job.state, job.queue, job.task, job.owner)) do
    redis.call('ZADD', key, job.created_at, id)
  end
end

local NAMES = {'state', 'queue', 'task', 'owner', 'created_at', 'attempts', 'retries', 'ready_at', 'started_at',
               'cancel_requested_at'}

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
  redis.call('HINCRBY', key, field .. slot, 1)
  redis.call('HINCRBY', key, field .. 'sum', ms)
end

local function announce(p, id, state)
  redis.call('PUBLISH', p .. 'job:' .. id, state)
end

-- Record a job about to be published; ARGV from `first` on as in create.lua.
local function create(first)
  local p, id, state, retries, replaced = ARGV[first], ARGV[first + 1], ARGV[first + 2], tonumber(ARGV[first + 3]), ARGV[first + 4]
  local key = p .. 'job:' .. id
  local flat, new = pairs_from(first + 5)
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
end

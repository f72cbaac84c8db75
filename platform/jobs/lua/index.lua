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

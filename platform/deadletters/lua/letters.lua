-- Shared by every script below; the jobs' index.lua stands before it. A letter stands in four sorted sets, each split
-- by state and scored by its death: all, its reason's, its task's, its queue's.
local function letter_keys(p, letter)
  local state = letter.state
  return {
    p .. 'dead:' .. state,
    p .. 'dead:reason:' .. letter.reason .. ':' .. state,
    p .. 'dead:task:' .. letter.task .. ':' .. state,
    p .. 'dead:queue:' .. letter.queue .. ':' .. state,
  }
end

-- What metrics tell: dead ones by queue and reason.
local function count_dead(p, letter, by)
  if letter.state == 'dead' then
    redis.call('HINCRBY', p .. 'dead:counts', letter.queue .. '\31' .. letter.reason, by)
  end
end

local function unlist_letter(p, id, letter)
  for _, key in ipairs(letter_keys(p, letter)) do redis.call('ZREM', key, id) end
  count_dead(p, letter, -1)
end

local function list_letter(p, id, letter)
  for _, key in ipairs(letter_keys(p, letter)) do redis.call('ZADD', key, letter.dead_at, id) end
  count_dead(p, letter, 1)
end

local LETTER = {'state', 'reason', 'task', 'queue', 'dead_at', 'job_id', 'attempts', 'error', 'revision', 'delivery',
                'act', 'owner', 'app_id', 'priority', 'print'}

local function read_letter(p, id)
  local values = redis.call('HMGET', p .. 'dead:letter:' .. id, unpack(LETTER))
  if not values[1] then return nil end
  local letter = {}
  for i, name in ipairs(LETTER) do letter[name] = values[i] or '' end
  return letter
end

local MOST_EVENTS = 100

local function remember(p, id, event)
  redis.call('RPUSH', p .. 'dead:history:' .. id, event)
  redis.call('LTRIM', p .. 'dead:history:' .. id, -MOST_EVENTS, -1)
end

-- A death that is about to be superseded.
local function remember_death(p, id, letter)
  remember(p, id, '{"event":"died","at":' .. letter.dead_at .. ',"reason":"' .. letter.reason .. '","attempts":'
    .. letter.attempts .. ',"error":' .. letter.error .. '}')
end

-- A letter gets another state, and is forgotten at `expires_at` unless it is dead.
local function move_letter(p, id, letter, to, expires_at)
  unlist_letter(p, id, letter)
  letter.state = to
  list_letter(p, id, letter)
  redis.call('HSET', p .. 'dead:letter:' .. id, 'state', to)
  redis.call('HINCRBY', p .. 'dead:letter:' .. id, 'revision', 1)
  if expires_at then
    redis.call('ZADD', p .. 'dead:expiry', expires_at, id)
  else
    redis.call('ZREM', p .. 'dead:expiry', id)
  end
end

-- A job's record becomes failed, as jobs/lua/finish.lua does it; one that was never written is made of `facts`.
local function fail_job(p, id, now, keep, error, job, facts)
  local key = p .. 'job:' .. id
  if not job then
    redis.call('HSET', key, 'task', facts.task, 'queue', facts.queue, 'priority', facts.priority, 'owner', facts.owner,
      'app_id', facts.app_id, 'parent_id', facts.parent_id, 'max_retries', '', 'created_at', now, 'ready_at', now,
      'attempts', facts.attempts)
    job = {state = '', queue = facts.queue, task = facts.task, owner = facts.owner, created_at = now, started_at = ''}
  else
    unindex(p, id, job)
  end
  local was = job.state
  job.state = 'failed'
  index(p, id, job)
  redis.call('HSET', key, 'state', 'failed', 'error', error, 'finished_at', now)
  redis.call('HDEL', key, 'cancel_requested_at')
  redis.call('ZADD', p .. 'jobs:expiry', now + keep, id)
  unlock(p, id, job, 'failed')
  redis.call('HINCRBY', p .. 'metrics:jobs', job.task .. '\31' .. job.queue .. '\31failed', 1)
  if was == 'running' and job.started_at ~= '' then
    observe(p, 'run', job.task, job.queue, now - tonumber(job.started_at))
  end
  announce(p, id, 'failed')
end

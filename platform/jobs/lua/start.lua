-- A worker begins. ARGV: prefix, id, now, retries, allowed states (comma-separated), the hash that holds the delivery
-- ('' if none does), its tag, redelivered (0|1), the worker's incarnation, first part of the keys of workers'
-- heartbeats ('' where nobody but a rescuer redelivers), most deaths, keep_ms of a cancelled job, a ticket of this
-- call's own (so that it may be repeated after a lost answer), how many limits, each as key, most at once (0 any) and
-- milliseconds from one start to the next (0 any), then the pairs of a record to make if none is kept (published by
-- somebody who writes no records).
-- Returns {1, attempt} or {0, why}: it ended, a later try is under way, the delivery has gone to another worker
-- ('held'), this is a second copy of a message whose first is being worked on ('running'), its worker lives though
-- its connection was lost ('busy'), or its runs have died too often ('crashed'); or {0, 'limited', key}: it waits for
-- its turn under that limit (limits.lua).
local p, id, now, retries, allowed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local held, tag, redelivered, runner, hearts = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local count = tonumber(ARGV[14])
local key = p .. 'job:' .. id

local function limits_of(queue)
  local found = {}
  for i = 15, 14 + 3 * count, 3 do
    found[#found + 1] = {key = ARGV[i], most = tonumber(ARGV[i + 1]), every = tonumber(ARGV[i + 2])}
  end
  local own = redis.call('HGET', p .. 'queues:limits', queue)
  if own then
    local most, every = string.match(own, '^(%S+) (%S+)')
    found[#found + 1] = {key = 'queue:' .. queue, most = tonumber(most), every = tonumber(every)}
  end
  return found
end

-- Everybody waits for a turn; it comes at once where nobody else waits and there is room. A place kept under one limit
-- is not given back when the next one has none: it would only be offered to those who need that next one as well.
local function is_admitted(limit, job, at)
  local stem = p .. 'limit:' .. limit.key
  if redis.call('ZSCORE', stem .. ':held', id) then return true end
  local is_called = redis.call('ZSCORE', stem .. ':called', id)
  if is_called and has_place(p, limit, 0) and is_time_to_start(p, limit, at) then return true end
  if is_called then
    redis.call('ZREM', stem .. ':called', id)
  elseif redis.call('ZCARD', stem .. ':waiting') == 0 then
    local ahead = on_their_way(p, limit, at)
    local is_time = limit.every == 0 or (is_time_to_call(p, limit, ahead, at) and is_time_to_start(p, limit, at))
    if is_time and has_place(p, limit, ahead) then
      was_called(p, limit, id, at)
      return true
    end
  end
  local urgency = 9 - (tonumber(redis.call('HGET', key, 'priority')) or 5)
  redis.call('SET', stem .. ':rule', limit.most .. ' ' .. limit.every .. ' ' .. (held ~= '' and 1 or 0))
  local is_only = redis.call('ZCARD', stem .. ':waiting') == 0
  redis.call('ZADD', stem .. ':waiting', urgency * 1e13 + (tonumber(job.ready_at) or now), id)
  redis.call('HSET', key, 'waiting_for', limit.key)
  redis.call('SADD', p .. 'limited:' .. job.queue, id)
  call_next(p, limit.key, at)
  if redis.call('ZSCORE', stem .. ':called', id) then return true end
  if is_only then -- looked at soon: whoever holds a place may be gone, and the rate's next moment is near
    redis.call('ZADD', p .. 'limits:due', string.format('%.3f', at), limit.key)
    if limit.every > 0 then redis.call('PUBLISH', p .. 'delayed', 'due') end
  end
  return false
end

local function occupy(limit, at)
  local stem = p .. 'limit:' .. limit.key
  if redis.call('ZREM', stem .. ':called', id) == 1 then has_started(p, limit, at) end
  redis.call('ZREM', stem .. ':waiting', id)
  if limit.most > 0 then redis.call('ZADD', stem .. ':held', at, id) end
end

if held ~= '' and redis.call('HEXISTS', held, tag) == 0 then return {0, 'held'} end
local job = read(key)
if not job then
  local flat, new = pairs_from(15 + 3 * count)
  redis.call('HSET', key, 'state', 'pending', 'attempts', 0, 'retries', retries, unpack(flat))
  new.state = 'pending'
  index(p, id, new)
  tally(p, new.queue, 'submitted', now)
  job = read(key)
end
if job.state == 'running' and redis.call('HGET', key, 'ticket') == ARGV[13] then return {1, tonumber(job.attempts)} end
if not string.find(allowed, ',' .. job.state .. ',', 1, true) then return {0, job.state} end
if job.state == 'running' and redelivered == '0' then return {0, 'running'} end
if retries < (tonumber(job.retries) or 0) then return {0, job.state} end
if job.state == 'running' then
  local former = redis.call('HGET', key, 'runner')
  if hearts ~= '' and former and redis.call('EXISTS', hearts .. former) == 1 then return {0, 'busy'} end
  if redis.call('HINCRBY', key, 'deaths', 1) >= tonumber(ARGV[11]) then return {0, 'crashed'} end
end
if job.cancel_requested_at ~= '' then
  close(p, id, job, 'cancelled', now, tonumber(ARGV[12]))
  return {0, 'cancelled'}
end

local limits, keys, at = limits_of(job.queue), {}, server_ms()
for i, limit in ipairs(limits) do keys[i] = limit.key end
local named = table.concat(keys, '\31')
for former in string.gmatch(job.limits, '[^\31]+') do
  if not string.find('\31' .. named .. '\31', '\31' .. former .. '\31', 1, true) then forget_place(p, id, former) end
end
if named ~= '' then redis.call('HSET', key, 'limits', named) elseif job.limits ~= '' then redis.call('HDEL', key, 'limits') end
for _, limit in ipairs(limits) do
  if not is_admitted(limit, job, at) then
    if job.state == 'running' then -- an orphan: its own place was given away after its worker died
      unlist(p, id, job)
      job.state = 'pending'
      index(p, id, job)
      redis.call('HSET', key, 'state', 'pending')
      announce(p, id, 'pending')
    end
    return {0, 'limited', limit.key}
  end
end
local attempt = redis.call('HINCRBY', key, 'attempts', 1)
unlist(p, id, job)
job.state = 'running'
index(p, id, job)
redis.call('HSET', key, 'state', 'running', 'started_at', ARGV[3], 'runner', runner, 'ticket', ARGV[13])
redis.call('HDEL', key, 'progress')
if named ~= '' or job.limits ~= '' then no_longer_waits(p, id, job.queue) end
for _, limit in ipairs(limits) do occupy(limit, at) end
observe(p, 'wait', job.task, job.queue, now - (tonumber(job.ready_at) or now))
announce(p, id, 'running')
return {1, attempt}

-- Limits (platform.limits), shared by every script. Of each key:
--   limit:<key>:held     who runs under it, where it says how many at once
--   limit:<key>:waiting  who waits for it, its message in the schedule: the most urgent first, then who is ready longest
--   limit:<key>:called   whose turn it is, since when; after CALL_MS another is called as well, and who comes first begins
--   limit:<key>:paced    the moment of its rate's next call
--   limit:<key>:next     the moment of its rate's next start
--   limit:<key>:rule     what it says, while somebody waits: most at once and ms from one start to the next (0 any), and
--                        1 if the queues are beside the records. A queue's own is in `queues:limits`.
-- `limits:due` is when to look at a key again, by the server's clock, which every time here is of. A job names its keys
-- in the field `limits` and the one it waits for in `waiting_for`; `limited:<queue>` has those that wait.
local CALL_MS, LATE_MS, EARLY_MS, LOOK_MS, MOST_AHEAD_MS, MOST_CALLS = 10000, 20, 50, 5, 500, 100

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

local function rule_of(p, key)
  local text = redis.call('GET', p .. 'limit:' .. key .. ':rule') or '0 0 0'
  local most, every, is_beside = string.match(text, '^(%S+) (%S+) (%S+)')
  local queue = string.match(key, '^queue:(.*)$')
  if queue then
    most, every = string.match(redis.call('HGET', p .. 'queues:limits', queue) or '0 0', '^(%S+) (%S+)')
  end
  return {key = key, most = tonumber(most), every = tonumber(every), is_beside = is_beside == '1'}
end

-- Never further ahead than one step, whatever the limit or the clock was before.
local function moment(p, limit, name, now)
  local kept = tonumber(redis.call('GET', p .. 'limit:' .. limit.key .. name) or 0)
  return math.min(kept, now + limit.every + EARLY_MS)
end

local function set_moment(p, limit, name, moment, now)
  redis.call('SET', p .. 'limit:' .. limit.key .. name, string.format('%.3f', moment), 'PX', math.ceil(moment - now) + 1000)
end

-- A rate holds twice. Calls go out in its rhythm; one that is a little late moves none of those that follow, and after a
-- longer gap nothing is made up for. Starts, which come after calls as fast as workers are free, are let through as
-- the rate allows on average, at most EARLY_MS ahead of it.
local function is_time_to_call(p, limit, ahead, now)
  return moment(p, limit, ':paced', now) <= now and (ahead == 0 or ahead * limit.every <= MOST_AHEAD_MS)
end

local function is_time_to_start(p, limit, now)
  return moment(p, limit, ':next', now) - EARLY_MS <= now
end

local function was_called(p, limit, id, now)
  redis.call('ZADD', p .. 'limit:' .. limit.key .. ':called', now, id)
  if limit.every == 0 then return end
  local paced = moment(p, limit, ':paced', now)
  set_moment(p, limit, ':paced', (paced < now - LATE_MS and now or paced) + limit.every, now)
end

local function has_started(p, limit, now)
  if limit.every > 0 then set_moment(p, limit, ':next', math.max(moment(p, limit, ':next', now), now) + limit.every, now) end
end

local function on_their_way(p, limit, now)
  return redis.call('ZCOUNT', p .. 'limit:' .. limit.key .. ':called', now - CALL_MS, '+inf')
end

-- Whether one more may hold a place, besides those that hold one and `ahead` others that were called.
local function has_place(p, limit, ahead)
  return limit.most == 0 or redis.call('ZCARD', p .. 'limit:' .. limit.key .. ':held') + ahead < limit.most
end

-- A waiting message whose turn has come goes to the front of its queue, or, where queues are elsewhere, is made due.
local function send_on(p, id, is_beside, order)
  if not redis.call('ZSCORE', p .. 'delayed', id) then return end -- on its way; put.lua finds that it was called
  if not is_beside then return redis.call('ZADD', p .. 'delayed', order, id) end
  local value = redis.call('HGET', p .. 'delayed:messages', id)
  if value then ring(p .. 'queue:', push(p .. 'queue:', value, 'RPUSH'), 1) end
  forget_delayed(p, id)
  ready(p, id)
end

local function no_longer_waits(p, id, queue)
  redis.call('HDEL', p .. 'job:' .. id, 'waiting_for')
  redis.call('SREM', p .. 'limited:' .. queue, id)
end

-- Call as many as there is room for, at most MOST_CALLS at once, and note when to look again.
local function call_next(p, key, now)
  local stem = p .. 'limit:' .. key
  if redis.call('ZCARD', stem .. ':waiting') == 0 then
    if redis.call('DEL', stem .. ':rule') == 1 then redis.call('ZREM', p .. 'limits:due', key) end
    return
  end
  local limit, ids, due = rule_of(p, key), {}, now
  local ahead = on_their_way(p, limit, now)
  for _ = 1, MOST_CALLS do
    local is_time = limit.every == 0 or is_time_to_call(p, limit, ahead, now)
    local id = is_time and has_place(p, limit, ahead) and redis.call('ZPOPMIN', stem .. ':waiting')[1]
    if not id then
      due = now + CALL_MS
      break
    end
    local waits_for, queue = unpack(redis.call('HMGET', p .. 'job:' .. id, 'waiting_for', 'queue'))
    if waits_for == key then
      no_longer_waits(p, id, queue)
      ids[#ids + 1] = id
      if limit.most > 0 or limit.every > 0 then
        was_called(p, limit, id, now)
        ahead = ahead + 1
      end
    end
  end
  -- The first called comes to the front last.
  for i = #ids, 1, -1 do send_on(p, ids[i], limit.is_beside, i) end
  if limit.every > 0 then
    local paced = moment(p, limit, ':paced', now)
    if paced > now then
      due = math.min(due, math.max(paced, now + LOOK_MS))
    elseif ahead > 0 then
      due = math.min(due, now + LATE_MS)
    end
  end
  redis.call('ZADD', p .. 'limits:due', string.format('%.3f', due), key)
  if #ids > 0 and not limit.is_beside then redis.call('PUBLISH', p .. 'delayed', 'due') end
end

local function forget_place(p, id, key)
  local stem = p .. 'limit:' .. key
  for _, set in ipairs({':held', ':called', ':waiting'}) do redis.call('ZREM', stem .. set, id) end
  call_next(p, key, server_ms())
end

-- A job that runs no longer, or will not run for now, makes room under all its limits.
leave_limits = function(p, id, job)
  if job.limits == '' then return end
  redis.call('HDEL', p .. 'job:' .. id, 'limits')
  no_longer_waits(p, id, job.queue)
  for key in string.gmatch(job.limits, '[^\31]+') do forget_place(p, id, key) end
  job.limits = ''
end

-- Shared by every script below but `list`, `intersect` and `sweep`. ARGV: prefix, batch, keep_ms of a completed, failed
-- and cancelled batch with spaces between, then each script's own. Of each batch:
--   batch:<id>               its record; its name is also the channel on which it is announced
--   batch:<id>:states        a character an item, in order: p waits, a waits for another try, r runs, c completed,
--                            f failed, x cancelled
--   batch:<id>:items:<n>     items n*100 … n*100+99 as JSON; one that is not there is its own index
--   batch:<id>:outcomes:<n>  what became of them: '+' and a result, or '-' and an error, as JSON
--   batch:<id>:trouble       d<index> deaths and t<index> failed tries since its fresh start, n<index> runs without a result,
--                            g<index> fresh starts that were asked for
--   batch:<id>:chunks        number -> 'attempt;flags;ranges': every item that has not ended is in one of them, and in no other
--   batch:<id>:adds          what an addition did, by its name, so that it may be repeated
-- `batches:active` is when to look after a batch next, `batches:callbacks` what was decided and not yet published,
-- `batches:outcomes` how many items came to what, by task, for metrics.
local P, ID = ARGV[1], ARGV[2]
local KEY = P .. 'batch:' .. ID
local ANNOUNCE_MS, RATE_MS, BLOCK = 100, 1000, 100
local COUNTED = {c = 'completed', f = 'failed', x = 'cancelled', r = 'running'}
local NAMES = {'state', 'total', 'completed', 'failed', 'cancelled', 'running', 'owner', 'task', 'created_at', 'is_open',
               'is_ready', 'cancel_requested_at', 'started_at', 'announced_at', 'rate', 'rate_at', 'rate_done', 'parent_id'}
local NUMBERS = {'total', 'completed', 'failed', 'cancelled', 'running'}

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local NOW = server_ms()
local batch -- the record's fields, as the scripts need them
local by = {completed = 0, failed = 0, cancelled = 0, running = 0} -- what this call adds to its counters
local fired = {}
local retried = 0

local function whole(number) return string.format('%.0f', number) end

-- Nil if there is none. An id has no ':', which would make it the name of another batch's states or chunks.
local function read_batch()
  if string.find(ID, ':', 1, true) then return nil end
  local values = redis.call('HMGET', KEY, unpack(NAMES))
  if not values[1] then return nil end
  batch = {}
  for i, name in ipairs(NAMES) do batch[name] = values[i] or '' end
  for _, name in ipairs(NUMBERS) do batch[name] = tonumber(batch[name]) or 0 end
  return batch
end

local function set(...) redis.call('HSET', KEY, ...) end

local function state_of(index) return redis.call('GETRANGE', KEY .. ':states', index, index) end

local function move(index, from, to)
  redis.call('SETRANGE', KEY .. ':states', index, to)
  if COUNTED[from] then by[COUNTED[from]] = by[COUNTED[from]] - 1 end
  if COUNTED[to] then by[COUNTED[to]] = by[COUNTED[to]] + 1 end
end

local function trouble(what, index) return redis.call('HINCRBY', KEY .. ':trouble', what .. index, 1) end

local function keep_outcome(index, text)
  local key = KEY .. ':outcomes:' .. math.floor(index / BLOCK)
  if text == '' then redis.call('HDEL', key, index) else redis.call('HSET', key, index, text) end
end

-- Every index of '0-3,7', in order.
local function each(ranges, visit)
  for first, last in string.gmatch(ranges, '(%d+)%-?(%d*)') do
    for index = tonumber(first), tonumber(last ~= '' and last or first) do visit(index) end
  end
end

-- Whether an index is in '0-3,7', asked many times.
local function members_of(ranges)
  local firsts, lasts = {}, {}
  for first, last in string.gmatch(ranges, '(%d+)%-?(%d*)') do
    firsts[#firsts + 1] = tonumber(first)
    lasts[#lasts + 1] = tonumber(last ~= '' and last or first)
  end
  return function(index)
    local low, high = 1, #firsts
    while low <= high do
      local middle = math.floor((low + high) / 2)
      if index < firsts[middle] then
        high = middle - 1
      elseif index > lasts[middle] then
        low = middle + 1
      else
        return true
      end
    end
    return false
  end
end

local function ranges_of(indices)
  local parts, first, last = {}, nil, nil
  local function put() parts[#parts + 1] = first == last and whole(first) or whole(first) .. '-' .. whole(last) end
  for _, index in ipairs(indices) do
    if last and index == last + 1 then
      last = index
    else
      if first then put() end
      first, last = index, index
    end
  end
  if first then put() end
  return table.concat(parts, ',')
end

local function new_chunk(flags, ranges)
  local number = redis.call('HINCRBY', KEY, 'next_chunk', 1)
  redis.call('HSET', KEY .. ':chunks', number, '0;' .. flags .. ';' .. ranges)
  return number
end

-- A chunk's attempt, flags and ranges; nil if its items are in others, or have ended.
local function read_chunk(number)
  local text = redis.call('HGET', KEY .. ':chunks', number)
  if not text then return nil end
  return string.match(text, '^(%d+);([^;]*);(.*)$')
end

local function index_keys(state)
  return {P .. 'batches:' .. state, P .. 'batches:owner:' .. batch.owner .. ':' .. state,
          P .. 'batches:task:' .. batch.task .. ':' .. state}
end

local function list_in()
  for _, key in ipairs(index_keys(batch.state)) do redis.call('ZADD', key, batch.created_at, ID) end
end

local function unlist()
  for _, key in ipairs(index_keys(batch.state)) do redis.call('ZREM', key, ID) end
end

local function enter_state(state)
  if batch.state == state then return end
  unlist()
  batch.state = state
  set('state', state)
  list_in()
end

local function look_again(after_ms) redis.call('ZADD', P .. 'batches:active', NOW + after_ms, ID) end

local function begin()
  if batch.state ~= 'pending' then return end
  enter_state('running')
  batch.started_at = NOW
  set('started_at', NOW, 'rate_at', NOW, 'rate_done', 0)
  batch.rate_at, batch.rate_done = NOW, 0
end

-- A callback is decided on once in a batch's life, whatever repeats the call; it is published by whoever hears of it
-- here, and by a duty if that one died before.
local function fire(kind)
  if redis.call('HEXISTS', KEY, kind) == 0 or redis.call('HSETNX', KEY, 'fired_' .. kind, NOW) == 0 then return end
  redis.call('ZADD', P .. 'batches:callbacks', NOW, ID .. '\31' .. kind)
  fired[#fired + 1] = kind
end

local function finish()
  local state = 'completed'
  if batch.cancelled > 0 or (batch.cancel_requested_at ~= '' and batch.total == 0) then
    state = 'cancelled'
  elseif batch.failed > 0 then
    state = 'failed'
  end
  local keep = {}
  keep.completed, keep.failed, keep.cancelled = string.match(ARGV[3], '^(%d+) (%d+) (%d+)$')
  enter_state(state)
  set('finished_at', NOW)
  redis.call('HDEL', KEY, 'cancel_requested_at')
  redis.call('DEL', KEY .. ':chunks')
  redis.call('ZREM', P .. 'batches:active', ID)
  redis.call('ZADD', P .. 'batches:expiry', NOW + tonumber(keep[state]), ID)
  fire('on_complete')
  if state == 'completed' then fire('on_success') end
  if state == 'failed' then fire('on_failure') end
end

local function is_over() return batch.state == 'completed' or batch.state == 'failed' or batch.state == 'cancelled' end

local function measure(done)
  local since = tonumber(batch.rate_at)
  if not since or NOW - since < RATE_MS then return end
  local latest = (done - (tonumber(batch.rate_done) or 0)) * 1000 / (NOW - since)
  local before = tonumber(batch.rate)
  set('rate', string.format('%.3f', before and (before + latest) / 2 or latest), 'rate_at', NOW, 'rate_done', done)
end

local function count_outcomes()
  local function count(what, by_how_many)
    if by_how_many > 0 then redis.call('HINCRBY', P .. 'batches:outcomes', batch.task .. '\31' .. what, by_how_many) end
  end
  for _, what in ipairs({'completed', 'failed', 'cancelled'}) do count(what, by[what]) end
  count('retried', retried)
end

-- After every change: the counters, the end if it has come, and the announcement, ten times a second at most. One that is
-- withheld is made up for by the reader, who looks again a moment after each.
local function settle(is_told_at_once)
  for name, number in pairs(by) do
    if number ~= 0 then batch[name] = redis.call('HINCRBY', KEY, name, number) end
  end
  count_outcomes()
  local done = batch.completed + batch.failed + batch.cancelled
  if not is_over() and batch.is_ready == '1' and batch.is_open ~= '1' and done >= batch.total then
    finish()
    is_told_at_once = true
  else
    measure(done)
  end
  redis.call('HINCRBY', KEY, 'revision', 1)
  if is_told_at_once or NOW - (tonumber(batch.announced_at) or 0) >= ANNOUNCE_MS then
    set('announced_at', NOW)
    redis.call('PUBLISH', KEY, batch.state)
  end
  return table.concat(fired, ',')
end

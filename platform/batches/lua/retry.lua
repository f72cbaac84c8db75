-- What failed is run again, with a fresh count of tries. ARGV[4]: chunk size.
-- Returns {verdict, chunks, how many}: 'again'; 'none' failed; 'stopping', it is being cancelled; 'unknown'.
if not read_batch() then return {'unknown', '', 0} end
if batch.cancel_requested_at ~= '' then return {'stopping', '', 0} end
if batch.failed == 0 then return {'none', '', 0} end
local FAILED = string.byte('f')
local states, indices, at = redis.call('GET', KEY .. ':states'), {}, 1

local function has_failed(ranges)
  for first, last in string.gmatch(ranges, '(%d+)%-?(%d*)') do
    local some = string.sub(states, first + 1, (last ~= '' and last or first) + 1)
    if string.find(some, 'f', 1, true) then return true end
  end
  return false
end

while true do
  local found = string.find(states, 'f', at, true)
  if not found then break end
  indices[#indices + 1] = found - 1
  at = found + 1
end
-- They leave the chunks that are still at work: what one of those is told of them later is not about their new run.
local chunks = redis.call('HGETALL', KEY .. ':chunks')
for i = 1, #chunks, 2 do
  local attempt, flags, ranges = string.match(chunks[i + 1], '^(%d+);([^;]*);(.*)$')
  if has_failed(ranges) then
    local left = {}
    each(ranges, function(index)
      if string.byte(states, index + 1) ~= FAILED then left[#left + 1] = index end
    end)
    if #left == 0 then
      redis.call('HDEL', KEY .. ':chunks', chunks[i])
    else
      redis.call('HSET', KEY .. ':chunks', chunks[i], attempt .. ';' .. flags .. ';' .. ranges_of(left))
    end
  end
end
redis.call('SET', KEY .. ':states', (string.gsub(states, 'f', 'p')))
by.failed = -#indices
local size, numbers = tonumber(ARGV[4]), {}
for from = 1, #indices, size do
  local some = {}
  for i = from, math.min(from + size - 1, #indices) do
    some[#some + 1] = indices[i]
    redis.call('HDEL', KEY .. ':trouble', 't' .. indices[i], 'd' .. indices[i])
    trouble('g', indices[i])
  end
  numbers[#numbers + 1] = new_chunk('', ranges_of(some))
end
if is_over() then
  redis.call('ZREM', P .. 'batches:expiry', ID)
  redis.call('HDEL', KEY, 'finished_at', 'rate')
  set('rate_at', NOW, 'rate_done', batch.completed + batch.cancelled)
  batch.rate_at = ''
  enter_state('running')
  look_again(10000)
end
settle(true)
return {'again', table.concat(numbers, ','), #indices}

-- What failed is run again, with a fresh count of tries. ARGV[4]: chunk size.
-- Returns {verdict, chunks, how many}: 'again'; 'none' failed; 'stopping', it is being cancelled; 'unknown'.
if not read_batch() then return {'unknown', '', 0} end
if batch.cancel_requested_at ~= '' then return {'stopping', '', 0} end
if batch.failed == 0 then return {'none', '', 0} end
local states, indices, at = redis.call('GET', KEY .. ':states'), {}, 1
while true do
  local found = string.find(states, 'f', at, true)
  if not found then break end
  indices[#indices + 1] = found - 1
  at = found + 1
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

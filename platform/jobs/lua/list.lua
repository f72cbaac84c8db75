-- Newest first, any page in logarithmic time. ARGV: offset, limit, then the sorted sets of the wanted states.
-- Returns {total, id, …}. Ranks across several sets are found by bisecting the score: how many are newer than s?
local offset, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local keys, total, newest = {}, 0, 0
for i = 3, #ARGV do
  local size = redis.call('ZCARD', ARGV[i])
  if size > 0 then
    keys[#keys + 1] = ARGV[i]
    total = total + size
    newest = math.max(newest, tonumber(redis.call('ZREVRANGE', ARGV[i], 0, 0, 'WITHSCORES')[2]))
  end
end
if offset >= total then return {total} end

local function newer_than(score)
  local count = 0
  for _, key in ipairs(keys) do count = count + redis.call('ZCOUNT', key, '(' .. string.format('%.0f', score), '+inf') end
  return count
end

local low, high = 0, newest
while low < high do
  local middle = math.floor((low + high) / 2)
  if newer_than(middle) <= offset then high = middle else low = middle + 1 end
end
local skip = offset - newer_than(low)
local rows = {}
for _, key in ipairs(keys) do
  local part = redis.call('ZREVRANGEBYSCORE', key, string.format('%.0f', low), '-inf', 'WITHSCORES', 'LIMIT', 0, skip + limit)
  for i = 1, #part, 2 do rows[#rows + 1] = {tonumber(part[i + 1]), part[i]} end
end
table.sort(rows, function(a, b)
  if a[1] ~= b[1] then return a[1] > b[1] end
  return a[2] > b[2]
end)
local answer = {total}
for i = skip + 1, math.min(skip + limit, #rows) do answer[#answer + 1] = rows[i][2] end
return answer

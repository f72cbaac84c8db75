-- Newest first where several things must hold at once (a queue and a task, say). ARGV: offset, limit, most probes,
-- dimensions, then for each state its sets, one per dimension. Walks the smallest set of each state and looks the
-- rest up. Returns {total, exact (0|1), id, …}; past the probe limit the total is a lower bound, so that no
-- question, however broad, holds the server for long.
local offset, limit, budget, dims = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local CHUNK = 500
local total, exact, rows = 0, 1, {}

local function walk(keys)
  table.sort(keys, function(a, b) return a[2] < b[2] end)
  local smallest, size, position = keys[1][1], keys[1][2], 0
  while position < size do
    if budget <= 0 then exact = 0 return end
    local part = redis.call('ZREVRANGE', smallest, position, position + CHUNK - 1, 'WITHSCORES')
    local ids = {}
    for i = 1, #part, 2 do ids[#ids + 1] = part[i] end
    local held = {}
    for d = 2, #keys do
      local scores = redis.call('ZMSCORE', keys[d][1], unpack(ids))
      for i = 1, #ids do if not scores[i] then held[i] = false end end
    end
    for i, id in ipairs(ids) do
      if held[i] == nil then
        total = total + 1
        rows[#rows + 1] = {tonumber(part[i * 2]), id}
      end
    end
    position, budget = position + CHUNK, budget - CHUNK
  end
end

for first = 5, #ARGV, dims do
  local keys = {}
  for i = first, first + dims - 1 do keys[#keys + 1] = {ARGV[i], redis.call('ZCARD', ARGV[i])} end
  walk(keys)
end
table.sort(rows, function(a, b)
  if a[1] ~= b[1] then return a[1] > b[1] end
  return a[2] > b[2]
end)
local answer = {total, exact}
for i = offset + 1, math.min(offset + limit, #rows) do answer[#answer + 1] = rows[i][2] end
return answer

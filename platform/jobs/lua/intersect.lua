-- Newest first where several things must hold at once (a queue and a task, say). ARGV: offset, limit, most probes,
-- dimensions, then for each state its sets, one per dimension. The total is the server's own ZINTERCARD where the
-- smallest set is within the probe limit; the page is found by walking that set and looking the rest up, no further
-- than needed. Returns {total, exact (0|1), id, …}; beyond the probe limit the total is a lower bound, so that no
-- question, however broad, holds the server for long. Ten native probes cost less than one of the walk's.
local offset, limit, budget, dims = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local most = budget * 10
local CHUNK = 500
local total, exact, rows = 0, 1, {}

local function held_by_all(ids, keys)
  local held = {}
  for d = 2, #keys do
    local scores = redis.call('ZMSCORE', keys[d], unpack(ids))
    for i = 1, #ids do if not scores[i] then held[i] = false end end
  end
  return held
end

-- The newest `wanted` of one state, as rows; how many were found.
local function walk(keys, size, wanted)
  local position, found = 0, 0
  while position < size and found < wanted do
    if budget <= 0 then exact = 0 return found end
    local part = redis.call('ZREVRANGE', keys[1], position, position + CHUNK - 1, 'WITHSCORES')
    local ids = {}
    for i = 1, #part, 2 do ids[#ids + 1] = part[i] end
    local held = held_by_all(ids, keys)
    for i, id in ipairs(ids) do
      if held[i] == nil and found < wanted then
        found = found + 1
        rows[#rows + 1] = {tonumber(part[i * 2]), id}
      end
    end
    position, budget = position + CHUNK, budget - CHUNK
  end
  return found
end

for first = 5, #ARGV, dims do
  local sized = {}
  for i = first, first + dims - 1 do sized[#sized + 1] = {ARGV[i], redis.call('ZCARD', ARGV[i])} end
  table.sort(sized, function(a, b) return a[2] < b[2] end)
  local keys, size = {}, sized[1][2]
  for i, one in ipairs(sized) do keys[i] = one[1] end
  if size > most then
    total = total + walk(keys, size, offset + limit)
    exact = 0
  elseif size > 0 then
    local matching = redis.call('ZINTERCARD', #keys, unpack(keys))
    total = total + matching
    walk(keys, size, math.min(matching, offset + limit))
  end
end
table.sort(rows, function(a, b)
  if a[1] ~= b[1] then return a[1] > b[1] end
  return a[2] > b[2]
end)
local answer = {total, exact}
for i = offset + 1, math.min(offset + limit, #rows) do answer[#answer + 1] = rows[i][2] end
return answer

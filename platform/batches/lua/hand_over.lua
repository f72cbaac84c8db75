-- A chunk ends; what is left of it goes to others. ARGV from 4 on: chunk, the attempt it must be at, ranges of items that
-- died, that were interrupted, that failed, the error of those, ranges of cancelled ones, then flags and ranges of each
-- new chunk. Items that are in another chunk, since they were asked for again, are that one's.
-- Returns {verdict, numbers of the new chunks, kinds of callbacks fired}: 'done', or 'gone' as for a step.
if not read_batch() then return {'gone', '', ''} end
local attempt, _, ranges = read_chunk(ARGV[4])
if attempt ~= ARGV[5] then return {'gone', '', ''} end
local is_own = members_of(ranges)

local function each_own(of, visit)
  each(of, function(index)
    if is_own(index) then visit(index) end
  end)
end

each_own(ARGV[6], function(index)
  if state_of(index) ~= 'r' then return end
  trouble('d', index)
  trouble('n', index)
  move(index, 'r', 'p')
end)
each_own(ARGV[7], function(index)
  if state_of(index) == 'r' then move(index, 'r', 'p') end
end)
each_own(ARGV[8], function(index)
  local state = state_of(index)
  if state ~= 'r' and state ~= 'p' and state ~= 'a' then return end
  if state == 'r' then trouble('n', index) end
  move(index, state, 'f')
  keep_outcome(index, ARGV[9])
end)
each_own(ARGV[10], function(index)
  local state = state_of(index)
  if state == 'r' or state == 'p' or state == 'a' then move(index, state, 'x') end
end)
redis.call('HDEL', KEY .. ':chunks', ARGV[4])
local numbers = {}
for i = 11, #ARGV, 2 do
  local own = {}
  each_own(ARGV[i + 1], function(index) own[#own + 1] = index end)
  numbers[#numbers + 1] = new_chunk(ARGV[i], ranges_of(own))
end
return {'done', table.concat(numbers, ','), settle(false)}

-- Outcomes of items, and which are run next. ARGV from 4 on: chunk, attempt, the next items' ranges ('' none), 1 if then
-- nothing is left of the chunk, then for each outcome its index, what it is (c completed, f failed, a to be tried again) and its text.
-- An item has one outcome: of one that does not run, or that is in another chunk since it was asked for again, whatever says so
-- is dropped.
-- Returns {verdict, next items that must not be run, kinds of callbacks fired}: 'go', 'stop', or 'gone': another run has it.
if not read_batch() then return {'gone', '', ''} end
local attempt, _, ranges = read_chunk(ARGV[4])
if attempt ~= ARGV[5] then return {'gone', '', ''} end
local is_own = members_of(ranges)
for i = 8, #ARGV, 3 do
  local index, to = tonumber(ARGV[i]), ARGV[i + 1]
  if is_own(index) and state_of(index) == 'r' then
    move(index, 'r', to)
    keep_outcome(index, ARGV[i + 2])
    if to == 'a' then retried = retried + 1 end
    if to ~= 'c' then
      trouble('t', index)
      trouble('n', index)
    end
  end
end
local refused = {}
local is_stopped = batch.cancel_requested_at ~= ''
if not is_stopped then
  each(ARGV[6], function(index)
    local state = is_own(index) and state_of(index) or ''
    if state == 'p' or state == 'a' then
      begin()
      move(index, state, 'r')
    elseif state ~= 'r' then
      refused[#refused + 1] = index
    end
  end)
end
if ARGV[7] == '1' then redis.call('HDEL', KEY .. ':chunks', ARGV[4]) end
return {is_stopped and 'stop' or 'go', table.concat(refused, ','), settle(false)}

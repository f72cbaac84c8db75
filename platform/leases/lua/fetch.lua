-- Take the most urgent messages and record who holds them, in one step: nothing is ever taken and not recorded.
-- ARGV: prefix, incarnation, first part of the tags, most messages, then per queue its name and 1 if it is
-- acknowledged, 0 if not. Nothing is decoded here, so that nothing can be refused here.
-- Returns tag, queue, deaths ('' never given back), message, …; empty after removing the queues' bells; one empty
-- string if the incarnation was taken for dead and has to join again first.
local prefix, tags, most = ARGV[1], ARGV[3], tonumber(ARGV[4])
local held = prefix .. 'held:' .. ARGV[2]
local SEP = '\6\22'
if redis.call('EXISTS', prefix .. 'lease:' .. ARGV[2]) == 0 then return {''} end
local answer, taken = {}, 0
for priority = 0, 9 do
  for i = 5, #ARGV, 2 do
    local list = prefix .. ARGV[i]
    if priority > 0 then list = list .. SEP .. priority end
    while taken < most do
      local item = redis.call('RPOP', list)
      if not item then break end
      taken = taken + 1
      local deaths, message = '', item
      local _, stop = string.find(item, '^~%d+~')
      if stop then deaths, message = string.sub(item, 2, stop - 1), string.sub(item, stop + 1) end
      local tag = tags .. taken
      if ARGV[i + 1] == '1' then redis.call('HSET', held, tag, list .. '\n' .. deaths .. '\n' .. message) end
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = tag, ARGV[i], deaths, message
    end
  end
end
if taken == 0 then
  for i = 5, #ARGV, 2 do redis.call('DEL', prefix .. 'bell:' .. ARGV[i]) end
end
return answer

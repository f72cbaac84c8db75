-- Take the most urgent messages and record who holds them, in one step: nothing is ever taken and not recorded.
-- ARGV: prefix, incarnation, first part of the tags, free slots, most bytes for one slot, the hash of paused queues, then
-- per queue its name, 1 if it is acknowledged, 0 if not, and how many of its messages one slot works on together.
-- Nothing is decoded here, so that nothing can be refused here; a paused queue is looked up here, so that nothing is
-- taken from it from the very call on that paused it.
-- Returns tag, queue, deaths ('' never given back), message, …; empty after removing the queues' bells; one empty
-- string if the incarnation was taken for dead and has to join again first.
local prefix, tags, slots, bytes = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local held = prefix .. 'held:' .. ARGV[2]
local FIRST, STEP, SEP = 7, 3, '\6\22'
if redis.call('EXISTS', prefix .. 'lease:' .. ARGV[2]) == 0 then return {''} end
local paused = {}
for _, name in ipairs(redis.call('HKEYS', ARGV[6])) do paused[name] = true end

-- What the slot that was last begun for a queue has room for still.
local messages_left, bytes_left = {}, {}
local function is_begun(i) return (messages_left[i] or 0) > 0 and bytes_left[i] > 0 end
local function occupy(i, size)
  if not is_begun(i) then
    slots = slots - 1
    messages_left[i], bytes_left[i] = tonumber(ARGV[i + 2]), bytes
  end
  messages_left[i], bytes_left[i] = messages_left[i] - 1, bytes_left[i] - size
end

local answer, taken = {}, 0
for priority = 0, 9 do
  for i = FIRST, #ARGV, STEP do
    local list = prefix .. ARGV[i]
    if priority > 0 then list = list .. SEP .. priority end
    while (slots > 0 or is_begun(i)) and not paused[ARGV[i]] do
      local item = redis.call('RPOP', list)
      if not item then break end
      taken = taken + 1
      occupy(i, #item)
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
  for i = FIRST, #ARGV, STEP do redis.call('DEL', prefix .. 'bell:' .. ARGV[i]) end
end
return answer

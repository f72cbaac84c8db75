-- Who follows channels. ARGV: prefix, channels. Returns one text, which is read faster than so many answers: the latest
-- join in the first line; then a line for each channel that is followed: its number from 0, those who follow it without
-- a filter, and each filter's key and who follows through it, with tabs between.
local lines, MOST = {redis.call('GET', P .. 'sequence') or '0'}, 1000
for first = 2, #ARGV, MOST do
  local keys = {}
  for i = first, math.min(first + MOST - 1, #ARGV) do keys[#keys + 1] = P .. 'channel:' .. ARGV[i] end
  for i, text in ipairs(redis.call('MGET', unpack(keys))) do
    if text then
      local number = first + i - 3
      if string.byte(text) == 42 then -- '*'
        local filtered = redis.call('HGETALL', P .. 'filtered:' .. ARGV[number + 2])
        text = string.sub(text, 2) .. '\t' .. table.concat(filtered, '\t')
      end
      lines[#lines + 1] = number .. '\t' .. text
    end
  end
end
return table.concat(lines, '\n')

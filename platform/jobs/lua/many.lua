-- Behind a script that is the function `one`: it is called for each of CALLS, which are its keys and arguments, packed.
-- Returns an answer for each; of one that raised its error, and the others are done all the same.
later = {sets = {}, counters = {}}

local function write()
  for key, members in pairs(later.sets) do
    local gone, here = {}, {}
    for id, score in pairs(members) do
      if score then
        here[#here + 1] = score
        here[#here + 1] = id
      else
        gone[#gone + 1] = id
      end
    end
    if #gone > 0 then redis.call('ZREM', key, unpack(gone)) end
    if #here > 0 then redis.call('ZADD', key, unpack(here)) end
  end
  for key, counters in pairs(later.counters) do
    local is_new = counters.life and redis.call('EXISTS', key) == 0
    for field, by in pairs(counters.by) do redis.call('HINCRBY', key, field, by) end
    if is_new then redis.call('EXPIRE', key, counters.life) end
  end
end

local answers = {}
for i, call in ipairs(CALLS) do
  KEYS, ARGV = unpack(cmsgpack.unpack(call))
  local is_done, answer = pcall(one)
  answers[i] = is_done and answer or {err = type(answer) == 'table' and answer.err or tostring(answer)}
end
write()
return answers

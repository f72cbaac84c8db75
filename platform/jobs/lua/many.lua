-- Behind a script that is the function `one`: it is called for each of CALLS, which are its keys and arguments, packed.
-- Returns an answer for each; of one that raised its error, and the others are done all the same.
later = {sets = {}, counters = {}}

local answers = {}
for i, call in ipairs(CALLS) do
  KEYS, ARGV = unpack(cmsgpack.unpack(call))
  local is_done, answer = pcall(one)
  answers[i] = is_done and answer or {err = type(answer) == 'table' and answer.err or tostring(answer)}
end
write_later()
return answers

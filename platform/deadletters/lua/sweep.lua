-- Forget at most ARGV[3] letters that were replayed or discarded long ago; dead ones are never forgotten.
-- ARGV: prefix, now, limit. Returns how many.
local p = ARGV[1]
local due = redis.call('ZRANGEBYSCORE', p .. 'dead:expiry', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  local letter = read_letter(p, id)
  if letter then unlist_letter(p, id, letter) end
  redis.call('DEL', p .. 'dead:letter:' .. id, p .. 'dead:history:' .. id)
  redis.call('ZREM', p .. 'dead:expiry', id)
end
return #due

-- Stand for election, or stay elected: who asks first while nobody acts does so, in a new term. ARGV: prefix, who asks,
-- how long an answer holds in ms, a line about who asks. Returns the term if that is who acts, else ''.
local p, me, ttl, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), server_ms()
local key, lines = p .. 'schedules:acting', p .. 'schedulers'
redis.call('HSET', lines, me, string.format('%.0f', now) .. ' ' .. ARGV[4])
local all = redis.call('HGETALL', lines)
for i = 1, #all, 2 do
  if now - tonumber(string.match(all[i + 1], '^%d+')) > 2 * ttl then redis.call('HDEL', lines, all[i]) end
end
local term = redis.call('GET', key)
if term and string.match(term, '^%d+ (.*)$') ~= me then return '' end
term = term or redis.call('INCR', p .. 'schedules:term') .. ' ' .. me
redis.call('SET', key, term, 'PX', ttl)
return term

-- Stand back, so that another need not wait. ARGV: prefix, who asks. Returns 1 if that was who acted.
local p, me = ARGV[1], ARGV[2]
redis.call('HDEL', p .. 'schedulers', me)
local term = redis.call('GET', p .. 'schedules:acting')
if not term or string.match(term, '^%d+ (.*)$') ~= me then return 0 end
redis.call('DEL', p .. 'schedules:acting')
return 1

-- Give one message back to its list, marked as given back. ARGV: prefix, hash of what is held, tag, front (1|0).
-- Returns 1, or 0 if it is not held any more (acknowledged, or given back for us).
local value = redis.call('HGET', ARGV[2], ARGV[3])
if not value then return 0 end
redis.call('HDEL', ARGV[2], ARGV[3])
local first = string.find(value, '\n', 1, true)
local second = string.find(value, '\n', first + 1, true)
local list, deaths, message = string.sub(value, 1, first - 1), string.sub(value, first + 1, second - 1), string.sub(value, second + 1)
if deaths == '' then deaths = '0' end
redis.call(ARGV[4] == '1' and 'RPUSH' or 'LPUSH', list, '~' .. deaths .. '~' .. message)
local queue = string.match(string.sub(list, #ARGV[1] + 1), '^[^\6]*')
redis.call('LPUSH', ARGV[1] .. 'bell:' .. queue, '')
redis.call('LTRIM', ARGV[1] .. 'bell:' .. queue, 0, 63)
return 1

-- Forget a schedule; jobs it made stay. ARGV: prefix, id, owner, term ('' for any). Returns 'removed', 'gone' or 'deposed'.
local p, id = ARGV[1], ARGV[2]
local why = refusal(p, ARGV[4], id, '', '')
if why then return why end
redis.call('HDEL', p .. 'schedules:names', redis.call('HGET', p .. 'schedule:' .. id, 'name'))
redis.call('DEL', p .. 'schedule:' .. id)
redis.call('ZREM', p .. 'schedules', id)
redis.call('ZREM', p .. 'schedules:owner:' .. ARGV[3], id)
redis.call('ZREM', p .. 'schedules:due', id)
return 'removed'

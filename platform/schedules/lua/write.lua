-- Keep a schedule. ARGV: prefix, id, the revision it had ('' for a new one), owner and name joined by U+001F, definition,
-- when it is due next ('-': as before; '' never), when it was created, owner, most schedules of one owner, 1 if it is
-- paused ('-': as before), term ('' for any).
-- Returns 'written', 'deposed', 'gone', 'changed', 'taken' (another has that name) or 'full'.
local p, id, key = ARGV[1], ARGV[2], ARGV[1] .. 'schedule:' .. ARGV[2]
local revision, name, next_at, paused = ARGV[3], ARGV[4], ARGV[6], ARGV[10]
local known = redis.call('HMGET', key, 'revision', 'name')
if revision == '' and known[1] then return 'changed' end
local why = refusal(p, ARGV[11], id, revision, '')
if why == 'deposed' or (why and revision ~= '') then return why end
local other = redis.call('HGET', p .. 'schedules:names', name)
if other and other ~= id then return 'taken' end
local own = p .. 'schedules:owner:' .. ARGV[8]
if not known[1] and redis.call('ZCARD', own) >= tonumber(ARGV[9]) then return 'full' end
if known[2] and known[2] ~= name then redis.call('HDEL', p .. 'schedules:names', known[2]) end
redis.call('HSET', p .. 'schedules:names', name, id)
redis.call('HSET', key, 'definition', ARGV[5], 'name', name)
redis.call('HINCRBY', key, 'revision', 1)
redis.call('ZADD', p .. 'schedules', ARGV[7], id)
redis.call('ZADD', own, ARGV[7], id)
if paused ~= '-' then redis.call('HSET', key, 'paused', paused) end
if next_at ~= '-' then set_next(p, id, next_at) end
return 'written'

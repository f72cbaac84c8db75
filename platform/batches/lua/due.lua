-- Batches to look after now; each is looked after again later, by whoever comes first. ARGV: prefix, how many, ms until then.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', ARGV[1] .. 'batches:active', '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', ARGV[1] .. 'batches:active', now + ARGV[3], id) end
return ids

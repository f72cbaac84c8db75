-- Record a job and publish its message, both or neither. KEYS: the queue's list, its bell. ARGV: message, then as
-- create.lua. Returns what create.lua returns; of a job that has ended nothing is published.
local verdict = create(2)
if verdict[1] ~= 'final' then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('LPUSH', KEYS[2], '')
  redis.call('LTRIM', KEYS[2], 0, 63)
end
return verdict

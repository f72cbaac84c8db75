-- Record a job and publish its message, both or neither. KEYS: the queue's list, its bell. ARGV: message, then as
-- create.lua. Returns what create.lua returns; of a job that has ended nothing is published, and of one that was
-- published before (its answer was lost) not a second message: given back by a dying worker, a copy would start beside
-- the first.
local verdict = create(2)
if verdict[1] == 'created' or verdict[1] == 'updated' then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('LPUSH', KEYS[2], '')
  redis.call('LTRIM', KEYS[2], 0, 63)
end
return verdict

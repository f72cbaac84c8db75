-- The publish after a create failed for certain: forget the record, if nobody has taken it up; a job that it was to
-- replace stands for its equals again.
-- ARGV: prefix, id. Returns 1 if forgotten.
local p, id = ARGV[1], ARGV[2]
local key = p .. 'job:' .. id
local job = read(key)
if not job or (job.state ~= 'pending' and job.state ~= 'scheduled') or job.attempts ~= '0' then return 0 end
unindex(p, id, job)
local replaced = redis.call('HGET', key, 'replaces')
local name = replaced and p .. 'unique:' .. string.match(job.unique, '%S+$')
if name and redis.call('GET', name) == id then redis.call('SET', name, replaced, 'KEEPTTL') end
unlock(p, id, job, '')
redis.call('DEL', key)
-- It was never submitted after all (`tally` in index.lua).
local counted = p .. 'queues:tally:' .. math.floor(tonumber(job.created_at) / 10000)
if redis.call('HEXISTS', counted, job.queue .. '\31submitted') == 1 then
  redis.call('HINCRBY', counted, job.queue .. '\31submitted', -1)
end
forget_delayed(p, id)
return 1

-- The publish after a create failed for certain: forget the record, if nobody has taken it up.
-- ARGV: prefix, id. Returns 1 if forgotten.
local p, id = ARGV[1], ARGV[2]
local key = p .. 'job:' .. id
local job = read(key)
if not job or (job.state ~= 'pending' and job.state ~= 'scheduled') or job.attempts ~= '0' then return 0 end
unindex(p, id, job)
redis.call('DEL', key)
return 1

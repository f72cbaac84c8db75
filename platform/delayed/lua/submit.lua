-- Record a job and keep its message until its time, both or neither. ARGV: due, queue, priority, envelope, then as
-- create.lua. Returns what create.lua returns. Of a job recorded before, its message is kept only if it has none.
local verdict = create(5)
local p, id = ARGV[5], ARGV[6]
local is_new = verdict[1] == 'created' or verdict[1] == 'updated'
local waits = verdict[1] == 'kept' and (verdict[2] == 'pending' or verdict[2] == 'scheduled')
if is_new or (waits and not redis.call('ZSCORE', p .. 'delayed', id)) then
  keep(p, id, ARGV[1], ARGV[2], ARGV[3], '', ARGV[4])
end
return verdict

-- A process has the first member of groups. ARGV: prefix, process, then per group channel, filter's key or '-', its text.
-- Returns 0, and does nothing, if the process was taken for dead.
if redis.call('SISMEMBER', P .. 'processes', ARGV[2]) == 0 then return 0 end
local join = next_join()
for i = 3, #ARGV, 3 do add(ARGV[2], ARGV[i], ARGV[i + 1], ARGV[i + 2], join) end
return 1

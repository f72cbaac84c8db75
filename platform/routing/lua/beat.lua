-- A sign of life. ARGV: prefix, the process, the life of the sign in ms. Returns 0 if it was taken for dead.
if redis.call('SISMEMBER', P .. 'processes', ARGV[2]) == 0 then return 0 end
redis.call('SET', P .. 'process:' .. ARGV[2], '1', 'PX', ARGV[3])
return 1

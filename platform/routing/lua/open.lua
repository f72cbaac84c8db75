-- A process is there. ARGV: prefix, its name, the life of its sign in ms. Returns 0 for a name that was used before.
if redis.call('SISMEMBER', P .. 'dead', ARGV[2]) == 1 then return 0 end
redis.call('SADD', P .. 'processes', ARGV[2])
redis.call('SET', P .. 'process:' .. ARGV[2], '1', 'PX', ARGV[3])
return 1

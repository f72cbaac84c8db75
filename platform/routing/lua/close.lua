-- A process ends by itself; what it joined is swept as if it had died. ARGV: prefix, process.
redis.call('DEL', P .. 'process:' .. ARGV[2])
return redis.call('SMOVE', P .. 'processes', P .. 'dead', ARGV[2])

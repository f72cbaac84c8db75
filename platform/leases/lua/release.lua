-- Deliveries are over. ARGV: hash of what is held, their tags.
return redis.call('HDEL', ARGV[1], unpack(ARGV, 2))

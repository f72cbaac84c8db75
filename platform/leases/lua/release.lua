-- A delivery is over. ARGV: hash of what is held, tag.
return redis.call('HDEL', ARGV[1], ARGV[2])

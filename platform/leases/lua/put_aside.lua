-- Keep bytes that are no message and end their delivery, in one step. ARGV: list, hash of what is held, tag, queue, bytes.
redis.call('RPUSH', ARGV[1], ARGV[4] .. '\n' .. ARGV[5])
return redis.call('HDEL', ARGV[2], ARGV[3])

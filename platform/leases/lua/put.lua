-- Publish and ring: one blocked worker wakes. KEYS: list, bell. ARGV: message.
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LPUSH', KEYS[2], '')
redis.call('LTRIM', KEYS[2], 0, 63)
return 1

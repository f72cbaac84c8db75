-- ARGV: prefix, incarnation, ttl in ms. Returns 1, or 0: it was taken for dead, and what it held was given back.
local key = ARGV[1] .. 'lease:' .. ARGV[2]
if redis.call('PEXPIRE', key, ARGV[3]) == 1 then return 1 end
if redis.call('SISMEMBER', ARGV[1] .. 'leases', ARGV[2]) == 1 then
  redis.call('SET', key, '1', 'PX', ARGV[3])
  return 1
end
return 0

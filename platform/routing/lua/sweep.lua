-- Strike processes that gave no sign of life off the groups they joined. ARGV: prefix, most groups.
-- Returns how many groups were left so; fewer than that is all of them.
local left = tonumber(ARGV[2])
for _, process in ipairs(redis.call('SMEMBERS', P .. 'processes')) do
  if redis.call('EXISTS', P .. 'process:' .. process) == 0 then
    redis.call('SMOVE', P .. 'processes', P .. 'dead', process)
  end
end
for _, process in ipairs(redis.call('SMEMBERS', P .. 'dead')) do
  if left == 0 then break end
  for _, group in ipairs(redis.call('SPOP', P .. 'groups:' .. process, left)) do
    local filter, channel = string.match(group, '^(%x+)@(.*)$')
    strike(process, channel or group, filter or '-')
    left = left - 1
  end
  if redis.call('EXISTS', P .. 'groups:' .. process) == 0 then redis.call('SREM', P .. 'dead', process) end
end
return ARGV[2] - left

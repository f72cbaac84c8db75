-- A process has no members of groups any more. ARGV: prefix, process, then per group channel, filter's key or '-'.
for i = 3, #ARGV, 2 do
  if redis.call('SREM', P .. 'groups:' .. ARGV[2], key_of(ARGV[i], ARGV[i + 1])) == 1 then
    strike(ARGV[2], ARGV[i], ARGV[i + 1])
  end
end
return 1

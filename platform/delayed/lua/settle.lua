-- End a taking. ARGV: prefix, until when it counted, now, how many of the ids that follow were published; the rest
-- are due again. What was given another time meanwhile is left alone: it is another message, or another's taking.
local p, lease = ARGV[1], tonumber(ARGV[2])
for i = 5, #ARGV do
  local id = ARGV[i]
  if tonumber(redis.call('ZSCORE', p .. 'delayed', id) or 0) == lease then
    if i < 5 + tonumber(ARGV[4]) then
      forget_delayed(p, id)
      ready(p, id)
    else
      redis.call('ZADD', p .. 'delayed', ARGV[3], id)
    end
  end
end
return 1

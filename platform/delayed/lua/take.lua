-- Take what is due, to be published elsewhere. ARGV: prefix, now, most messages, until when the taking counts.
-- Returns {when the next is due ('' if none is kept), id, message, …}.
local p = ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', p .. 'delayed', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
local answer = {''}
for _, id in ipairs(ids) do
  local value = redis.call('HGET', p .. 'delayed:messages', id)
  if value then
    redis.call('ZADD', p .. 'delayed', ARGV[4], id)
    answer[#answer + 1], answer[#answer + 2] = id, value
  else
    forget_delayed(p, id)
  end
end
answer[1] = next_due(p)
return answer

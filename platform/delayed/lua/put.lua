-- Keep a delivered message until its time. ARGV: prefix, id, due, queue, priority, its retries, envelope, hash of what
-- is held ('' if it is not under a lease here), tag, the key of the limit it waits for ('' for none). Returns 1, or 0:
-- not held any more, and nothing was done.
local p, id, held, tag = ARGV[1], ARGV[2], ARGV[8], ARGV[9]
local deaths = ''
if held ~= '' then
  local value = redis.call('HGET', held, tag)
  if not value then return 0 end
  redis.call('HDEL', held, tag)
  deaths = string.match(value, '^[^\n]*\n([^\n]*)\n')
end
-- A later try of the job is under way: its message must not be replaced by this copy, which no worker would start.
local latest = redis.call('HGET', p .. 'job:' .. id, 'retries')
if (tonumber(latest or 0) or 0) <= tonumber(ARGV[6]) then
  keep(p, id, ARGV[3], ARGV[4], ARGV[5], deaths, ARGV[7])
  -- It was called between the refusal and now; whoever called it found nothing to send on.
  if ARGV[10] ~= '' and redis.call('HGET', p .. 'job:' .. id, 'waiting_for') ~= ARGV[10] then
    send_on(p, id, held ~= '', 0)
    if held == '' then redis.call('PUBLISH', p .. 'delayed', 'due') end
  end
end
return 1

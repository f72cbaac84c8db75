-- Go on after a gap that was not filled in time. From FIRST on: an entry that tells the whole of a version that waits.
-- What waits before it is dropped, what follows it is appended. Returns whether that was still to be done.
local entry = read(ARGV[FIRST])
local key, gaps = P .. 'streams:held:' .. entry.line, P .. 'streams:gaps'
local due = redis.call('ZSCORE', gaps, entry.line)
if not due or tonumber(due) > NOW_MS or redis.call('HEXISTS', key, entry.version) == 0 then return 0 end
for _, version in ipairs(redis.call('HKEYS', key)) do
  if tonumber(version) <= entry.version then redis.call('HDEL', key, version) end
end
redis.call('ZREM', gaps, entry.line)
show(entry)
count('resyncs')
release(entry.line, entry.version)
if redis.call('EXISTS', key) == 1 then redis.call('ZADD', gaps, 'NX', NOW_MS + HOLD_MS, entry.line) end
close()
return 1

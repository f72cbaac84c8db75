-- Append an event that is about no document. From FIRST on: the call's own name, the entry.
-- A call repeated within a minute changes nothing. Returns {offset, epoch}, of the first call both times.
local name, entry = ARGV[FIRST], read(ARGV[FIRST + 1])
local once = P .. 'streams:once:' .. entry.stream .. ':' .. name
local offset, epoch = redis.call('GET', once), nil
if offset then return {offset, opened(entry.stream).epoch} end
offset, epoch = show(entry)
redis.call('SET', once, whole(offset), 'PX', 60000)
close()
return {whole(offset), epoch}

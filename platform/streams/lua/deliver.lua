-- Append changes of documents, each version once and in order. From FIRST on: entries as `read` takes them.
-- Returns how many were appended, how many of these had waited, how many wait now, and how many had come before.

-- The version before is unknown for a new document, and for one that was not changed for as long as lines are kept.
local function is_next(entry, last)
  if last then return entry.version == last + 1 end
  return entry.version == 1 or (entry.before_ms > 0 and NOW_MS - entry.before_ms > KEEP_MS)
end

local function take(packed)
  local entry = read(packed)
  local last = tonumber(redis.call('GET', P .. 'streams:line:' .. entry.line) or nil)
  if is_next(entry, last) then
    show(entry)
    release(entry.line, entry.version)
  elseif last and entry.version <= last then
    count('dropped')
  elseif redis.call('HSETNX', P .. 'streams:held:' .. entry.line, entry.version, packed) == 1 then
    redis.call('ZADD', P .. 'streams:gaps', 'NX', NOW_MS + HOLD_MS, entry.line)
    count('held')
  else
    count('dropped')
  end
end

for i = FIRST, #ARGV do take(ARGV[i]) end
close()
return {counts.appended or 0, counts.released or 0, counts.held or 0, counts.dropped or 0}

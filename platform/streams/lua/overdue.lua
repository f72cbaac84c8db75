-- Documents whose gap has not been filled in time. From FIRST on: most documents to look at.
-- What has no gap before it any more is appended here. Returns {line, version, fields} of the newest that waits.
local function newest(line)
  local most = 0
  for _, version in ipairs(redis.call('HKEYS', P .. 'streams:held:' .. line)) do most = math.max(most, tonumber(version)) end
  return most
end

local found = {}
for _, line in ipairs(redis.call('ZRANGEBYSCORE', P .. 'streams:gaps', '-inf', NOW_MS, 'LIMIT', 0, ARGV[FIRST])) do
  local key, last = P .. 'streams:held:' .. line, tonumber(redis.call('GET', P .. 'streams:line:' .. line) or nil)
  local version = newest(line)
  if version == 0 then
    redis.call('ZREM', P .. 'streams:gaps', line)
  elseif last and redis.call('HEXISTS', key, last + 1) == 1 then
    release(line, last)
  else
    local entry = read(redis.call('HGET', key, version))
    found[#found + 1] = {line, version, entry.fields}
  end
end
close()
return found

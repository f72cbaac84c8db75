-- On the broker: what the leases put aside gets a name each, that lasts until its letter is written. ARGV: the queues'
-- prefix, most. Returns name, entry, …: some of what has a name and no letter yet. An entry begins with its list's name.
local p, most = ARGV[1], tonumber(ARGV[2])
local named = p .. 'aside'
local now = redis.call('TIME')
for _, list in ipairs({'undecodable', 'crashed'}) do
  for i = 1, most do
    local entry = redis.call('LPOP', p .. list)
    if not entry then break end
    redis.call('HSET', named, list .. '/' .. now[1] .. '.' .. now[2] .. '.' .. i, list .. '\n' .. entry)
  end
end
return redis.call('HRANDFIELD', named, most, 'WITHVALUES')

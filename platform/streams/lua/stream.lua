-- Shared by every script of streams. ARGV: prefix, an epoch for streams that are new, most entries of a stream, how long
-- they are kept in ms, how long a version is waited for in ms; then the script's own, from FIRST on.
--   stream:<name>              the entries; ids are offsets, `prev` is the offset of the entry before
--   streams:meta:<name>        epoch, last (offset)
--   streams:line:<name>:<id>   the version of a document that was appended last
--   streams:held:<name>:<id>   what waits for an earlier version: version -> the entry as it came
--   streams:gaps               documents of which something waits, scored by until when (ms since 1970)
--   streams:counts             counters, for metrics
local P, EPOCH, MOST, KEEP_MS, HOLD_MS, FIRST = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), 6
local MESSAGE_BYTES = 1000000 -- of one PUBLISH; Valkey cuts off a subscriber for which 32 MB wait
local MOST_RELEASED = 500     -- of one document by one call; the rest is due at once

local time = redis.call('TIME')
local NOW_MS = time[1] * 1000 + math.floor(time[2] / 1000)
local NOW_US = time[1] * 1000000 + time[2]

local streams, outbox, counts = {}, {}, {}

local function whole(number) return string.format('%.0f', number) end

local function count(what, by) counts[what] = (counts[what] or 0) + (by or 1) end

-- A stream's epoch and latest offset. What is there without these is of an epoch nobody can tell any more.
local function opened(name)
  if streams[name] then return streams[name] end
  local key = P .. 'streams:meta:' .. name
  local known = redis.call('HMGET', key, 'epoch', 'last')
  if not known[1] then
    redis.call('DEL', P .. 'stream:' .. name)
    redis.call('HSET', key, 'epoch', EPOCH, 'last', 0)
    known = {EPOCH, '0'}
  end
  streams[name] = {epoch = known[1], last = tonumber(known[2])}
  return streams[name]
end

-- Offsets are microseconds since 1970, or one more than the last: larger than every earlier one, also than those that a
-- server forgot when it lost its last second.
local function append(name, fields)
  local stream = opened(name)
  local offset = math.max(stream.last + 1, NOW_US)
  redis.call('XADD', P .. 'stream:' .. name, whole(offset) .. '-0', 'prev', whole(stream.last), unpack(fields))
  stream.last = offset
  return offset, stream.epoch
end

local function publish(process)
  redis.call('PUBLISH', P .. 'sockets:' .. process, '[' .. table.concat(outbox[process], ',') .. ']')
  outbox[process] = nil
end

local function tell(process, item)
  local box = outbox[process] or {bytes = 0}
  outbox[process] = box
  box[#box + 1] = item
  box.bytes = box.bytes + #item
  if box.bytes > MESSAGE_BYTES then publish(process) end
end

-- Who follows a channel: {when it joined, process, group as JSON}; read once per call.
local joined = {}
local function joins_of(channel)
  if joined[channel] then return joined[channel] end
  local found = {}
  local function note(members, key)
    local group = cjson.encode(key)
    for process, at in string.gmatch(members, '(%S+) (%S+)') do found[#found + 1] = {tonumber(at), process, group} end
  end
  local star, members = string.match(redis.call('GET', P .. 'routing:channel:' .. channel) or '', '^(%*?)(.*)$')
  note(members, channel)
  local filtered = star == '*' and redis.call('HGETALL', P .. 'routing:filtered:' .. channel) or {}
  for i = 1, #filtered, 2 do note(filtered[i + 1], filtered[i] .. '@' .. channel) end
  joined[channel] = found
  return found
end

local latest_join = tonumber(redis.call('GET', P .. 'routing:sequence') or 0)

-- Tell who joined between routing and now to read the stream again: whether the entry is for them nobody has looked.
local function tell_latecomers(entry, place)
  if latest_join <= entry.seen then return end
  local groups = {}
  for _, channel in ipairs(entry.channels) do
    for _, one in ipairs(joins_of(channel)) do
      if one[1] > entry.seen then
        groups[one[2]] = groups[one[2]] or {}
        table.insert(groups[one[2]], one[3])
      end
    end
  end
  for process, keys in pairs(groups) do
    tell(process, '{"reread":true,' .. place .. ',"groups":[' .. table.concat(keys, ',') .. ']}')
    count('rereads')
  end
end

local PARTS = {'line', 'stream', 'channel', 'version', 'before_ms', 'fields', 'frames', 'targets', 'groups', 'seen', 'channels'}

local function read(packed)
  local values, entry = cmsgpack.unpack(packed), {}
  for i, name in ipairs(PARTS) do entry[name] = values[i] end
  return entry
end

-- Append an entry and tell the socket processes of its targets.
local function show(entry)
  local offset, epoch = append(entry.stream, entry.fields)
  local place = '"channel":' .. entry.channel .. ',"offset":' .. whole(offset) .. ',"epoch":"' .. epoch .. '"'
  for process, kinds in pairs(entry.targets) do
    for kind, groups in pairs(kinds) do
      tell(process, '{"frame":' .. entry.frames[kind] .. ',' .. place .. ',"groups":' .. groups .. '}')
    end
    count('targets')
  end
  tell_latecomers(entry, place)
  count('appended')
  count('groups', entry.groups)
  return offset, epoch
end

-- What a document's line holds from `version` on is appended as far as it has no gap; the line is that long then.
local function release(line, version)
  local key, from = P .. 'streams:held:' .. line, version
  local packed = redis.call('HGET', key, version + 1)
  while packed and version - from < MOST_RELEASED do
    version = version + 1
    show(read(packed))
    redis.call('HDEL', key, version)
    packed = redis.call('HGET', key, version + 1)
  end
  redis.call('SET', P .. 'streams:line:' .. line, version, 'PX', KEEP_MS)
  if version == from then return end
  count('released', version - from)
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', P .. 'streams:gaps', line)
  else
    redis.call('ZADD', P .. 'streams:gaps', packed and NOW_MS or NOW_MS + HOLD_MS, line)
  end
end

-- The last act of every script: trim, publish, count.
local function close()
  for name, stream in pairs(streams) do
    local key, meta = P .. 'stream:' .. name, P .. 'streams:meta:' .. name
    redis.call('HSET', meta, 'last', whole(stream.last))
    redis.call('XTRIM', key, 'MAXLEN', MOST)
    redis.call('XTRIM', key, 'MINID', whole(NOW_US - KEEP_MS * 1000))
    redis.call('PEXPIRE', key, KEEP_MS)
    redis.call('PEXPIRE', meta, 2 * KEEP_MS) -- longer, so that a reader who comes late learns that something is gone
  end
  for process in pairs(outbox) do publish(process) end
  for what, number in pairs(counts) do redis.call('HINCRBY', P .. 'streams:counts', what, number) end
end

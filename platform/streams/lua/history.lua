-- Read a part of a stream. From FIRST on: its name, the offset after which to read and the one up to which ('+': all),
-- a document's id and a user (each '' for any). Reading makes a stream that is not there, so that readers of one that
-- has no entries yet have an epoch.
-- Returns {epoch, latest offset, offset of the latest entry that is gone, offset up to which this part reads, entries},
-- these as JSON.
local MOST_READ, MOST_READ_BYTES, STEP = 500, 1000000, 20
local name, after, upto, id, user = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], ARGV[FIRST + 3], ARGV[FIRST + 4]
local key = P .. 'stream:' .. name
local stream = opened(name)
redis.call('PEXPIRE', P .. 'streams:meta:' .. name, 2 * KEEP_MS)

-- Every entry says what was before it, and so does the first that is still there.
local first, gone = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1], stream.last
if first then
  for i = 1, #first[2], 2 do
    if first[2][i] == 'prev' then gone = tonumber(first[2][i + 1]) end
  end
end

local function is_asked_for(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'id' and id ~= '' and fields[i + 1] ~= id then return false end
    if fields[i] == 'user' and user ~= '' and fields[i + 1] ~= user then return false end
  end
  return true
end

local function size_of(fields)
  local size = 0
  for _, text in ipairs(fields) do size = size + #text end
  return size
end

local found, looked_at, size, position, is_over = {}, 0, 0, after, false
local last = upto == '+' and whole(stream.last) or upto
while not is_over and looked_at < MOST_READ and size < MOST_READ_BYTES do
  local some = redis.call('XRANGE', key, '(' .. position .. '-0', last .. '-0', 'COUNT', STEP)
  is_over = #some < STEP
  looked_at = looked_at + #some
  for _, entry in ipairs(some) do
    position = string.sub(entry[1], 1, -3)
    size = size + size_of(entry[2])
    if is_asked_for(entry[2]) then found[#found + 1] = entry end
  end
end
-- One text: a client takes as long for each of ten thousand short answers as for this one.
local text = #found > 0 and cjson.encode(found) or '[]'
return {stream.epoch, whole(stream.last), whole(gone), is_over and last or position, text}

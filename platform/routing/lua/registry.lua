-- Shared by every script of the registry. ARGV: prefix, then the script's own.
--   routing:channel:<channel>   who follows it without a filter: processes, each with when it joined; begins with '*'
--                               if others follow it through filters. Text, for hundreds of them are read at once
--   routing:filtered:<channel>  a filter's key -> the same of those who follow through it
--   routing:filters             a filter's key -> its text, as long as routing:filters:uses counts members
--   routing:processes           the living; routing:process:<name> passes unless they go on saying so
--   routing:dead                those that are being swept
--   routing:groups:<process>    what it joined
--   routing:sequence            the latest join; larger than every earlier one, also those a server forgot
local P = ARGV[1] .. 'routing:'

local function key_of(channel, filter) return filter == '-' and channel or filter .. '@' .. channel end

local function next_join()
  local time = redis.call('TIME')
  local join = math.max(tonumber(redis.call('GET', P .. 'sequence') or 0) + 1, time[1] * 1000000 + time[2])
  redis.call('SET', P .. 'sequence', string.format('%.0f', join))
  return string.format('%.0f', join)
end

local function add(process, channel, filter, text, join)
  if redis.call('SADD', P .. 'groups:' .. process, key_of(channel, filter)) == 0 then return end
  local key, member = P .. 'channel:' .. channel, process .. ' ' .. join .. ' '
  if filter == '-' then
    redis.call('APPEND', key, member)
    return
  end
  local filtered = P .. 'filtered:' .. channel
  if redis.call('EXISTS', filtered) == 0 then redis.call('SET', key, '*' .. (redis.call('GET', key) or '')) end
  redis.call('HSET', filtered, filter, (redis.call('HGET', filtered, filter) or '') .. member)
  if redis.call('HINCRBY', P .. 'filters:uses', filter, 1) == 1 then
    redis.call('HSET', P .. 'filters', filter, text)
  end
end

local function without(process, members)
  local rest = {}
  for name, join in string.gmatch(members, '(%S+) (%S+)') do
    if name ~= process then rest[#rest + 1] = name .. ' ' .. join .. ' ' end
  end
  return table.concat(rest)
end

local function set_text(key, text)
  if text == '' then redis.call('DEL', key) else redis.call('SET', key, text) end
end

-- Take a process off a group it has just been taken off in `routing:groups`.
local function strike(process, channel, filter)
  local key, filtered = P .. 'channel:' .. channel, P .. 'filtered:' .. channel
  local text = redis.call('GET', key) or ''
  local star, members = string.match(text, '^(%*?)(.*)$')
  if filter == '-' then
    set_text(key, star .. without(process, members))
    return
  end
  local rest = without(process, redis.call('HGET', filtered, filter) or '')
  if rest ~= '' then
    redis.call('HSET', filtered, filter, rest)
  else
    redis.call('HDEL', filtered, filter)
    if redis.call('EXISTS', filtered) == 0 then set_text(key, members) end
  end
  if redis.call('HINCRBY', P .. 'filters:uses', filter, -1) <= 0 then
    redis.call('HDEL', P .. 'filters:uses', filter)
    redis.call('HDEL', P .. 'filters', filter)
  end
end

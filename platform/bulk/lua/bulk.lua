-- Record many new jobs and hand over their messages, all of them or none. ARGV: prefix, and packed: the kinds of jobs,
-- each job's kind (empty: all are of the first), their ids, their messages, and by place what unique ones lock: a text (as
-- `lock` in index.lua takes it), whether another job that stands for one refuses them all, and whether one of another
-- owner does.
-- A kind has state, retries, replaced (0|1) and the record's pairs as create.lua takes them; and where messages go: `list`
-- and `bell`, or without them the schedule, by `due`, `queue` and `priority`.
-- Returns {'done', place, verdict, state or other id, …} of those that were not simply created, as create.lua says it; of
-- one that was published before no second message is. Or, and nothing was written: {'taken', place, other id},
-- {'no record', place} where another kind of value has the key.
local p = ARGS[1]
local kinds, which, ids, messages, locks = unpack(cmsgpack.unpack(ARGS[2]))
local keys, known = {}, {}
for i, id in ipairs(ids) do keys[i] = p .. 'job:' .. id end

-- Every question comes before the first write.
local function is_any_known()
  for first = 1, #keys, MOST_VALUES do
    local last = math.min(first + MOST_VALUES - 1, #keys)
    if redis.call('EXISTS', unpack(keys, first, last)) > 0 then return true end
  end
  return false
end

if is_any_known() then
  for i, key in ipairs(keys) do
    local type = redis.call('TYPE', key).ok
    if type ~= 'hash' and type ~= 'none' then return {'no record', i} end
    known[i] = type == 'hash'
  end
end

-- Who listens to new jobs' channels: hardly anybody, and asking for all at once costs a fifth of telling each.
local heard = {}
local is_all_heard = redis.call('PUBSUB', 'NUMPAT') > 0
for first = 1, is_all_heard and 0 or #keys, MOST_VALUES do
  local last = math.min(first + MOST_VALUES - 1, #keys)
  local counts = redis.call('PUBSUB', 'NUMSUB', unpack(keys, first, last))
  for at = 2, #counts, 2 do
    if counts[at] > 0 then heard[counts[at - 1]] = true end
  end
end

for number, kind in ipairs(kinds) do
  kind.template, kind.members, kind.count, kind.new = p .. 'bulk:' .. number, {}, 0, {}
  for i = 1, #kind.pairs, 2 do kind.new[kind.pairs[i]] = kind.pairs[i + 1] end
end

if next(locks) then
  local claimed = {}
  for i, id in ipairs(ids) do
    local lock = not known[i] and locks[i]
    if lock then
      local policy, hash = string.match(lock[1], '^(%S+) (%S+)')
      local new, other, job = kinds[which[i] or 1].new, claimed[hash], nil
      if not other then other, job = standing(p, id, policy, hash, new.created_at) end
      local is_refused = lock[2] or (lock[3] and job and job.owner ~= new.owner)
      if other and other ~= id and is_refused then return {'taken', i, other} end
      claimed[hash] = id
    end
  end
end

-- A new record is a copy of its kind's: one command of few words. Not a second of the same id. The first write is one that
-- a server without memory refuses; after any other, DEL for example, it would let all of them pass.
local function is_copied(i, kind)
  if kind.count == 0 then
    redis.call('HSET', kind.template, 'state', kind.state, 'attempts', 0, 'retries', kind.retries, unpack(kind.pairs))
    redis.call('HSET', kind.template, 'revision', 1)
  end
  if redis.call('COPY', kind.template, keys[i]) == 0 then return false end
  local members, at = kind.members, 2 * kind.count
  members[at + 1], members[at + 2], kind.count = kind.new.created_at, ids[i], kind.count + 1
  if is_all_heard or heard[keys[i]] then redis.call('PUBLISH', keys[i], kind.state) end
  return true
end

local answer = {'done'}
local function create_one(i, kind)
  local lock = locks[i]
  ARGV = {p, ids[i], kind.state, kind.retries, kind.replaced, lock and lock[1] or '', unpack(kind.pairs)}
  local verdict = create(1)
  if verdict[1] ~= 'created' then
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3] = i, verdict[1], verdict[2]
  end
  return verdict
end

-- As submit.lua here and in platform.delayed decide it.
local function has_message(i, kind, verdict)
  if verdict[1] == 'created' or verdict[1] == 'updated' then return true end
  local waits = verdict[1] == 'kept' and (verdict[2] == 'pending' or verdict[2] == 'scheduled')
  return not kind.list and waits and not redis.call('ZSCORE', p .. 'delayed', ids[i])
end

local pushed, due, kept, is_due = {}, {}, {}, false
local function hand_over(i, kind)
  if kind.list then
    local some = pushed[kind.list] or {count = 0, bell = kind.bell}
    pushed[kind.list], some.count = some, some.count + 1
    some[some.count] = messages[i]
    return
  end
  due[#due + 1], due[#due + 2] = kind.due, ids[i]
  kept[#kept + 1], kept[#kept + 2] = ids[i], kind.queue .. '\n' .. kind.priority .. '\n\n' .. messages[i]
  is_due = is_due or tonumber(kind.due) <= tonumber(kind.new.created_at)
end

later = {sets = {}, counters = {}}
for i = 1, #ids do
  local kind = kinds[which[i] or 1]
  if not known[i] and not locks[i] and is_copied(i, kind) or has_message(i, kind, create_one(i, kind)) then
    hand_over(i, kind)
  end
end

for _, kind in ipairs(kinds) do
  local new = kind.new
  if kind.count > 0 then
    redis.call('DEL', kind.template)
    for _, key in ipairs(index_keys(p, kind.state, new.queue, new.task, new.owner)) do call_with('ZADD', key, kind.members) end
    tally(p, new.queue, 'submitted', new.created_at, kind.count)
  end
end
write_later()
for list, some in pairs(pushed) do
  call_with('LPUSH', list, some)
  local rings = {}
  for i = 1, math.min(some.count, 64) do rings[i] = '' end
  redis.call('LPUSH', some.bell, unpack(rings))
  redis.call('LTRIM', some.bell, 0, 63)
end
call_with('ZADD', p .. 'delayed', due)
call_with('HSET', p .. 'delayed:messages', kept)
if is_due then redis.call('PUBLISH', p .. 'delayed', 'due') end
return answer

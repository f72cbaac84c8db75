-- More items. ARGV from 4 on: the addition's name, how many, chunk size, 'whole' if the batch may run
-- now, 'last' if it also gets no more, or '', most items of the batch
-- (0 any), then the items as JSON, or none: then each is its own index.
-- Returns {verdict, chunks, kinds of callbacks fired}: 'added'; 'kept', this addition was made before; 'ended', 'unknown' or
-- 'too many', with how many there are.
local name, count, size, how, most = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
if not read_batch() then return {'unknown', '', ''} end
local known = redis.call('HGET', KEY .. ':adds', name)
if known then return {'kept', known, ''} end
if is_over() or batch.cancel_requested_at ~= '' then return {'ended', batch.state, ''} end
local first = batch.total
if most > 0 and first + count > most then return {'too many', whole(first), ''} end
if #ARGV > 8 then
  local block, fields = -1, {}
  local function put()
    if #fields > 0 then redis.call('HSET', KEY .. ':items:' .. block, unpack(fields)) end
  end
  for at = 0, count - 1 do
    local index = first + at
    if math.floor(index / BLOCK) ~= block then
      put()
      block, fields = math.floor(index / BLOCK), {}
    end
    fields[#fields + 1] = whole(index)
    fields[#fields + 1] = ARGV[9 + at]
  end
  put()
  set('has_items', 1)
end
if count > 0 then redis.call('APPEND', KEY .. ':states', string.rep('p', count)) end
local chunks = {}
for from = first, first + count - 1, size do
  chunks[#chunks + 1] = new_chunk('', ranges_of({from}) .. '-' .. whole(math.min(from + size, first + count) - 1))
end
batch.total = redis.call('HINCRBY', KEY, 'total', count)
set('added_at', NOW)
if batch.is_ready ~= '1' and how ~= '' then
  batch.is_ready = '1'
  set('is_ready', 1)
  list_in()
end
if how == 'last' then
  batch.is_open = '0'
  set('is_open', 0)
end
local numbers = table.concat(chunks, ',')
redis.call('HSET', KEY .. ':adds', name, numbers)
return {'added', numbers, settle(true)}

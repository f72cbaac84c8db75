-- A batch comes to be, with no items yet. ARGV from 4 on: 1 if its chunks may run as they come, 0 if only after `add` has
-- said that it is whole; its owner; then the record's pairs. Returns 'created', or 'kept': it is there already.
if read_batch() then return 'kept' end
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('HSET', KEY, 'state', 'pending', 'total', 0, 'completed', 0, 'failed', 0, 'cancelled', 0, 'running', 0,
           'next_chunk', 0, 'is_open', 1, 'is_ready', ARGV[4], 'created_at', NOW, 'added_at', NOW, unpack(fields))
read_batch()
if batch.is_ready == '1' then list_in() end
if batch.parent_id ~= '' then
  redis.call('ZADD', P .. 'batches:children:' .. batch.parent_id, NOW, ID)
end
look_again(10000)
settle(true)
return 'created'

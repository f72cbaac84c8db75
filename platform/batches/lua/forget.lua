-- A batch is forgotten with all its keys. ARGV[4]: 1 if only one that is not whole is. Returns 1, or 0: it was not there, or
-- is whole.
if not read_batch() then return 0 end
if ARGV[4] == '1' and batch.is_ready == '1' then return 0 end
unlist()
for block = 0, math.floor(batch.total / BLOCK) do
  redis.call('UNLINK', KEY .. ':items:' .. block, KEY .. ':outcomes:' .. block)
end
redis.call('UNLINK', KEY, KEY .. ':states', KEY .. ':trouble', KEY .. ':chunks', KEY .. ':adds',
           P .. 'batches:children:' .. ID)
redis.call('ZREM', P .. 'batches:expiry', ID)
redis.call('ZREM', P .. 'batches:active', ID)
if batch.parent_id ~= '' then redis.call('ZREM', P .. 'batches:children:' .. batch.parent_id, ID) end
return 1

-- Nothing more of a batch is begun. Returns {verdict, chunks, kinds of callbacks fired}: 'cancelled', it is over; 'asked', items
-- that run are waited for; 'final', it was over before; 'unknown'.
if not read_batch() then return {'unknown', '', ''} end
if is_over() then return {'final', batch.state, ''} end
local chunks = redis.call('HKEYS', KEY .. ':chunks')
local states = redis.call('GET', KEY .. ':states') or ''
local stopped, waiting = string.gsub(states, '[pa]', 'x')
if waiting > 0 then
  redis.call('SET', KEY .. ':states', stopped)
  by.cancelled = waiting
end
if batch.cancel_requested_at == '' then
  batch.cancel_requested_at = NOW
  set('cancel_requested_at', NOW)
end
batch.is_open = '0'
set('is_open', 0)
local kinds = settle(true)
return {is_over() and 'cancelled' or 'asked', table.concat(chunks, ','), kinds}

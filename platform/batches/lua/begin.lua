-- A run of a chunk begins. ARGV from 4 on: chunk, attempt, its job.
-- Returns {verdict, flags, ranges, states, tries, deaths, repairs, deaths of the job, the record's pairs}: 'go'; 'stop', the
-- batch is cancelled; 'gone', the chunk's items are in others, a later run has it, or all is over. Tries, deaths and repairs
-- are those of its items, a number each.
if not read_batch() then return {'gone'} end
local attempt, flags, ranges = read_chunk(ARGV[4])
if not attempt or tonumber(attempt) > tonumber(ARGV[5]) then return {'gone'} end
if batch.is_ready ~= '1' then return {'gone'} end
redis.call('HSET', KEY .. ':chunks', ARGV[4], ARGV[5] .. ';' .. flags .. ';' .. ranges)
local states, tries, deaths, repairs = {}, {}, {}, {}
local has_trouble = redis.call('EXISTS', KEY .. ':trouble') == 1
each(ranges, function(index)
  states[#states + 1] = state_of(index)
  local known = has_trouble and redis.call('HMGET', KEY .. ':trouble', 't' .. index, 'd' .. index, 'g' .. index) or {}
  tries[#tries + 1] = known[1] or 0
  deaths[#deaths + 1] = known[2] or 0
  repairs[#repairs + 1] = known[3] or 0
end)
local died = redis.call('HGET', P .. 'job:' .. ARGV[6], 'deaths') or '0'
local verdict = batch.cancel_requested_at ~= '' and 'stop' or 'go'
return {verdict, flags, ranges, table.concat(states), table.concat(tries, ','), table.concat(deaths, ','),
        table.concat(repairs, ','), died, redis.call('HGETALL', KEY)}

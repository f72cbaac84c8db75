-- Move on without a run. ARGV: prefix, term, id, revision, when it was due, when the next one is ('' never), how many are
-- left out, outcome ('' if they were only missed), what went wrong ('' nothing).
-- Returns 'passed', or 'deposed', 'gone', 'changed': nothing was done.
local p, id = ARGV[1], ARGV[3]
local why = refusal(p, ARGV[2], id, ARGV[4], ARGV[5])
if why then return why end
set_next(p, id, ARGV[6])
if ARGV[8] == '' then
  if tonumber(ARGV[7]) > 0 then
    redis.call('HINCRBY', p .. 'metrics:schedules', 'missed', ARGV[7])
    redis.call('HINCRBY', p .. 'schedule:' .. id, 'missed', ARGV[7])
  end
else
  count_runs(p, id, ARGV[8], ARGV[7])
end
if ARGV[9] ~= '' then redis.call('HSET', p .. 'schedule:' .. id, 'error', ARGV[9]) end
return 'passed'

-- ARGV: prefix, id, now, keep_ms. Waiting jobs are cancelled here and now; a running one is asked.
-- Returns {verdict, state}: 'cancelled', 'asked', 'final' or 'unknown'.
local job = read(ARGV[1] .. 'job:' .. ARGV[2])
if not job then return {'unknown', ''} end
return stop(ARGV[1], ARGV[2], job, ARGV[3], tonumber(ARGV[4]))

-- Other arguments for a dead letter. ARGV: prefix, letter id, the revision they were made from, the new body, the event
-- to remember. Returns {1, ''}, or {0, 'unknown' | 'changed' (read it again) | its state}.
local p, id = ARGV[1], ARGV[2]
local letter = read_letter(p, id)
if not letter then return {0, 'unknown'} end
if letter.state ~= 'dead' then return {0, letter.state} end
if letter.revision ~= ARGV[3] then return {0, 'changed'} end
redis.call('HSET', p .. 'dead:letter:' .. id, 'edited', ARGV[4])
redis.call('HINCRBY', p .. 'dead:letter:' .. id, 'revision', 1)
remember(p, id, ARGV[5])
return {1, ''}

-- A dead letter is given up; its job stays failed. ARGV: prefix, letter id, when to forget it, the event to remember.
-- Returns {1, ''}, or {0, 'unknown' | its state}.
local p, id = ARGV[1], ARGV[2]
local letter = read_letter(p, id)
if not letter then return {0, 'unknown'} end
if letter.state ~= 'dead' then return {0, letter.state} end
move_letter(p, id, letter, 'discarded', ARGV[3])
remember(p, id, ARGV[4])
return {1, ''}

-- A message is about to be published. ARGV: prefix, id, state, retries, replaced (0|1), of a unique job what it locks
-- (as `lock` in index.lua takes it; else ''), then the record's pairs.
-- Returns {verdict, state}: 'created'; 'updated' (a retry, or a task replaced by another under the same id);
-- 'kept' (published before); 'final' (already ended). Or {'taken', id}: another job stands for it; nothing was written.
return create(1)

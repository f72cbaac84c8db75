-- A message is about to be published. ARGV: prefix, id, state, retries, replaced (0|1), then the record's pairs.
-- Returns {verdict, state}: 'created'; 'updated' (a retry, or a task replaced by another under the same id);
-- 'kept' (published before); 'final' (already ended).
return create(1)

-- severity: warning
-- timeout: 10s
-- A constraint that was added NOT VALID and never validated says nothing about the rows that were there before.
select c.oid as constraint_oid, c.conrelid::regclass as table_name, c.conname as constraint_name
from pg_catalog.pg_constraint c
where not c.convalidated and c.contype in ('c', 'f')

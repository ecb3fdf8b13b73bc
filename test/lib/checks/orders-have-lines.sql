-- severity: warning
-- timeout: 2m
-- An order without lines: somebody deleted too much.
select o.id
from orders o
where not exists (select from order_lines l where l.order_id = o.id);

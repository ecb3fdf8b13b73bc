/* one statement; in spite of
   what stands in quotes */
with odd as (select ';' as a, "b;", $tag$; drop table task$tag$ as c from task)
select * from odd -- nothing; at all
where c = ';'

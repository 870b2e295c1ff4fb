-- Gives each table without a primary key a replica identity. With neither, UPDATE and DELETE of the table fail as soon as
-- any publication includes it, for example one for all tables. The identity FULL costs nothing until then.

do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid from pg_class c
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
      and d.refclassid = 'pg_extension'::regclass and d.refobjid = (select e.oid from pg_extension e where e.extname = 'sealcast')
    where c.relkind in ('r', 'p') and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
  loop
    execute format('alter table %s replica identity full', relation);
  end loop;
end $$;

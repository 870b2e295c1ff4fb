-- Prints which role may call, read and write what, from the catalogue, as a table in Markdown:
-- psql -v schema=SCHEMA -v table=functions|tables|roles -f docs/rights.sql. docs/check.sh inserts it into the pages.
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only on
set client_min_messages = warning;

create temp table object as
select p.oid, p.proname::text as name, true as is_function, p.prorettype = 'trigger'::regtype as is_trigger,
       coalesce(p.proacl, acldefault('f', p.proowner)) as acl, p.proowner as owner
from pg_proc p where p.pronamespace = :'schema'::regnamespace
union all
select c.oid, c.relname, false, false, coalesce(c.relacl, acldefault('r', c.relowner)), c.relowner
from pg_class c where c.relnamespace = :'schema'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition;

-- One row per role, object and privilege; `without` has the columns to which the privilege does not extend.
create temp table privilege as
with granted as (
  select o.oid, a.grantee, a.privilege_type, null::smallint as attnum from object o, aclexplode(o.acl) a where a.grantee <> o.owner
  union all
  select o.oid, a.grantee, a.privilege_type, t.attnum
  from object o join pg_attribute t on t.attrelid = o.oid and not o.is_function, aclexplode(t.attacl) a where a.grantee <> o.owner)
select g.oid, g.grantee, coalesce(r.rolname, 'PUBLIC')::text as role, lower(g.privilege_type) as privilege,
       case when bool_and(g.attnum is not null)
            then (select string_agg('`' || t.attname || '`', ', ' order by t.attnum) from pg_attribute t
                  where t.attrelid = g.oid and t.attnum > 0 and not t.attisdropped and t.attnum <> all (array_agg(g.attnum))) end as without
from granted g left join pg_roles r on r.oid = g.grantee
group by g.oid, g.grantee, r.rolname, g.privilege_type;

-- A view with the rights of its reader shows the rows that the policies of its tables show.
create temp table by_policy as
select o.oid, p.grantee from object o
left join pg_rewrite w on w.ev_class = o.oid
left join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
join pg_policy y on y.polrelid in (o.oid, d.refobjid) and pg_get_expr(y.polqual, y.polrelid) <> 'true'
cross join unnest(y.polroles) p (grantee)
where not o.is_function;

-- What a role may do with an object: ✓, or a list such as `read by policy, insert without admit_hook`.
create temp table rights as
select o.oid, o.is_function, o.name, p.role,
       case when o.is_function then '✓'
            else string_agg(case p.privilege when 'select' then 'read' else p.privilege end
                            || case when p.privilege = 'select' and exists (select from by_policy b where b.oid = p.oid and b.grantee = p.grantee)
                                    then ' by policy' else '' end
                            || coalesce(' without ' || p.without, ''), ', '
                            order by array_position('{select,insert,update,delete}', p.privilege), p.privilege) end as cell
from object o join privilege p using (oid)
group by o.oid, o.is_function, o.name, p.role;

create temp table role as
select role, has_schema_privilege(role, :'schema', 'usage') as enters,
       row_number() over (order by coalesce(array_position('{sealcast_user,sealcast_service,sealcast_admin}', role), 9), role) as place
from (select distinct role from rights r where r.is_function = (:'table' = 'functions') or :'table' = 'roles') r;

-- One row per set of rights; the objects of no role come last.
create function pg_temp.by_object(functions boolean) returns setof text language sql as $$
  select format('| %s | %s |', case when functions then 'Function' else 'Table' end,
                string_agg(format('`%s`', role) || case when enters then '' else ' (has no USAGE of the schema)' end, ' | ' order by place))
  from role
  union all
  select '|---' || repeat('|---', count(*)::integer) || '|' from role
  union all
  (select format('| %s | %s |', string_agg(name, ', ' order by name), array_to_string(cells, ' | '))
   from (select distinct format('`%s`', o.name) || case when o.is_trigger and array_to_string(cells, '') <> '' then ' (to attach the trigger)' else '' end as name,
                cells
         from object o
         cross join lateral (select array_agg(coalesce(r.cell, '') order by role.place) as cells
                             from role left join rights r on r.oid = o.oid and r.role = role.role) c
         where o.is_function = functions) o
   group by cells order by cardinality(array_remove(cells, '')) desc, cells desc)
$$;

create function pg_temp.names(role text, functions boolean, what text) returns text language sql as $$
  select coalesce(string_agg(distinct format('`%s`', r.name), ', '), '')
  from rights r
  where r.role = names.role and r.is_function = functions and (functions or r.cell ~ what)
    -- The functions that every role may call would hide the differences.
    and (not functions or (select count(distinct s.role) from rights s where s.oid = r.oid) < 3)
$$;
create function pg_temp.by_role() returns setof text language sql as $$
  select '| Role | Reads | Writes | Calls, besides the functions of all three |' union all select '|---|---|---|---|'
  union all
  (select format('| `%s` | %s | %s | %s |', role, pg_temp.names(role, false, 'read'), pg_temp.names(role, false, 'insert|update|delete|truncate|trigger|references'),
                 pg_temp.names(role, true, '')) from role order by place)
$$;

select pg_temp.by_role() where :'table' = 'roles'
union all select pg_temp.by_object(:'table' = 'functions') where :'table' <> 'roles';

-- A linter for the subjects of security advisories about Postgres. Each rule is a query for objects with a fault. Each
-- rule is also tested on a schema that has all faults.
begin;
\ir economy.psql
select plan(63);

create temp table schemas (schema text);
insert into schemas values ('sealcast'), ('sealcast_internal'), ('sealcast_economy');

-- tap.schema names the schema to check.
create function pg_temp.looked_at() returns oid language sql stable as $$ select current_setting('tap.schema')::regnamespace::oid $$;
create temp view tables as
  select oid, oid::regclass::text as name, relrowsecurity, relispartition from pg_class
  where relnamespace = pg_temp.looked_at() and relkind in ('r', 'p');
create temp view policies as
  select t.name || ': ' || p.polname as name, t.oid as table_id, t.relrowsecurity, p.polroles, p.polcmd, p.polpermissive,
         pg_get_expr(p.polqual, p.polrelid) as reads, pg_get_expr(p.polwithcheck, p.polrelid) as writes
  from tables t join pg_policy p on p.polrelid = t.oid;
create temp view functions as
  select p.oid, p.oid::regprocedure::text as name, p.prosecdef, p.proowner, p.proleakproof, p.proacl, p.prosrc, l.lanname,
         p.prosqlbody, coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false) as pinned
  from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = pg_temp.looked_at();
-- All objects with privileges, with the default privileges where none were granted.
create temp view grants as
  select o.name, o.owner, a.*
  from (select name, proowner as owner, coalesce(proacl, acldefault('f', proowner)) as acl from functions
        union all
        select oid::regclass::text, relowner, relacl from pg_class where relnamespace = pg_temp.looked_at()
        union all
        select attrelid::regclass || '.' || attname, relowner, attacl from pg_attribute join pg_class c on c.oid = attrelid
        where relnamespace = pg_temp.looked_at() and attacl is not null
        union all
        select nspname, nspowner, nspacl from pg_namespace where oid = pg_temp.looked_at()) o,
    aclexplode(o.acl) a;

create temp table rules (rule text, query text);
insert into rules values
  ('a table without row-level security', $$select name from tables where not relrowsecurity$$),
  ('a policy on a table without row-level security', $$select name from policies where not relrowsecurity$$),
  ('a policy for PUBLIC', $$select name from policies where 0 = any (polroles)$$),
  ('a policy other than for sealcast_admin that lets every row be written',
   $$select name from policies where polcmd <> 'r' and coalesce(writes, reads) = 'true' and polroles <> '{sealcast_admin}'::regrole[]::oid[]$$),
  ('two policies where one is enough', $$select max(name) from policies, unnest(polroles) r where polpermissive group by table_id, r, polcmd having count(*) > 1$$),
  ('a policy that looks up the caller once per row',
   $$select name from policies where regexp_replace(concat(reads, writes), '\( SELECT [^()]+\(\)', '', 'g') ~ 'current_setting\(|caller_id\(\)|claims\(\)'$$),
  ('a privilege without a policy',
   $$select distinct g.name || ' for ' || g.grantee::regrole from grants g join tables t on t.name = g.name
     where g.grantee not in (0, g.owner) and g.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
       and not exists (select from policies p where p.table_id = t.oid and (g.grantee = any (p.polroles) or 0 = any (p.polroles)))$$),
  ('a view with the rights of its owner',
   $$select oid::regclass::text from pg_class where relnamespace = pg_temp.looked_at() and relkind = 'v'
     and not coalesce((select option_value::boolean from pg_options_to_table(reloptions) where option_name = 'security_invoker'), false)$$),
  ('a materialized view or foreign table, which cannot have policies',
   $$select oid::regclass::text from pg_class where relnamespace = pg_temp.looked_at() and relkind in ('m', 'f')$$),
  ('a function that looks up names in the search_path of its caller',
   $$select name from functions where not pinned and (prosecdef or lanname not in ('c', 'internal') and prosqlbody is null)$$),
  ('a SECURITY DEFINER function of an owner other than that of the schema',
   $$select name from functions where prosecdef and proowner <> (select nspowner from pg_namespace where oid = pg_temp.looked_at())$$),
  ('a leakproof function, which row-level security trusts with hidden rows', $$select name from functions where proleakproof$$),
  ('a function in another language than C, SQL or PL/pgSQL', $$select name from functions where lanname not in ('c', 'internal', 'sql', 'plpgsql')$$),
  ('dynamic SQL in a function that other roles may execute',
   $$select name from functions f where lanname = 'plpgsql' and regexp_replace(prosrc, '''[^'']*''', '', 'g') ~* '\mexecute\M'
     and exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) a where a.grantee <> proowner)$$),
  ('dynamic SQL without format()', $$select name from functions where lanname = 'plpgsql' and prosrc ~* '\mexecute\M[^;]*\|\|'$$),
  ('a privilege of PUBLIC', $$select distinct name from grants where grantee = 0$$),
  ('a privilege with grant option', $$select distinct name from grants where is_grantable and grantee <> owner$$),
  ('a privilege of other roles for triggers, foreign keys, truncation or new objects',
   $$select distinct name from grants where privilege_type in ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'CREATE') and grantee <> owner$$),
  ('a sequence that other roles may use',
   $$select distinct g.name from grants g join pg_class c on c.oid::regclass::text = g.name and c.relkind = 'S' where g.grantee <> g.owner$$),
  ('a foreign key without an index',
   $$select conrelid::regclass || '.' || conname from pg_constraint k where contype = 'f' and connamespace = pg_temp.looked_at()
     and not exists (select from pg_index i where i.indrelid = k.conrelid and i.indpred is null
                     and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)$$),
  ('two indexes of the same columns',
   $$select max(indexrelid::regclass::text) from pg_index i join tables t on t.oid = i.indrelid and not t.relispartition
     group by indrelid, indkey::text, indclass::text, indoption::text, indexprs::text, indpred::text having count(*) > 1$$),
  ('a table without a primary key',
   $$select name from tables t where not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)$$),
  ('a table whose UPDATE fails in a publication for all tables',
   $$select name from tables t where (select relreplident from pg_class c where c.oid = t.oid) = 'd'
     and not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)$$),
  ('a foreign key, by which a parallel restore fails',
   $$select conrelid::regclass || '.' || conname from pg_constraint where contype = 'f' and connamespace = pg_temp.looked_at()$$),
  ('a column of a type that pg_upgrade refuses',
   $$select name || '.' || attname from tables t join pg_attribute a on a.attrelid = t.oid
     where a.atttypid = any ('{regproc,regprocedure,regoper,regoperator,regnamespace,regcollation,regconfig,regdictionary}'::regtype[]::oid[])$$),
  ('a column whose name suggests a secret',
   $$select name || '.' || attname from tables t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0
     where a.attname ~* 'secret|passw|token|credential|private|api_?key|e_?mail|phone|ssn|user_metadata'$$),
  ('a time without a time zone',
   $$select name || '.' || attname from tables t join pg_attribute a on a.attrelid = t.oid where a.atttypid in ('timestamp'::regtype, 'timetz'::regtype)$$);

-- Faults with a reason.
create temp table excused (rule text, object text, reason text);
insert into excused values
  ('a function that looks up names in the search_path of its caller', 'sealcast.run_maintenance()', 'a procedure with settings cannot commit; all its names have schemas'),
  ('a function that looks up names in the search_path of its caller', 'sealcast.erase_user(uuid)', 'a procedure with settings cannot commit; all its names have schemas'),
  ('a table without a primary key', 'sealcast.messages', 'each of its partitions has one, see make_partition()'),
  ('a table without a primary key', 'sealcast.stream_runs', 'each of its partitions has one, see make_partition()'),
  ('a table without a primary key', 'sealcast_internal.outbox', 'the table is a queue'),
  ('a table without a primary key', 'sealcast_internal.outbox_0', 'the table is a queue'),
  ('a table without a primary key', 'sealcast_internal.outbox_1', 'the table is a queue'),
  ('a table without a primary key', 'sealcast_internal.outbox_2', 'the table is a queue'),
  ('a table without a primary key', 'sealcast_internal.maintenance', 'the table has one row, which is a lock'),
  ('a table without a primary key', 'sealcast.retention', 'a restored row stands beside the default row'),
  ('a table without a primary key', 'sealcast.event_dead_letters', 'its key has columns that may be null: unique nulls not distinct'),
  ('a table without a primary key', 'sealcast_internal.event_losses', 'the table has one row, which is a counter'),
  ('a table without a primary key', 'sealcast_economy.xp_rules', 'same reason as for sealcast.event_dead_letters'),
  ('a table without a primary key', 'sealcast_economy.xp_days', 'same reason as for sealcast.event_dead_letters');

create function pg_temp.broken(schema text, query text) returns setof text language plpgsql as $$
begin
  perform set_config('tap.schema', schema, true);
  return query execute query;
end $$;
select is(array(select b from schemas, pg_temp.broken(schema, query) b
                where (rules.rule, b) not in (select rule, object from excused) order by 1), '{}'::text[], 'the schemas do not have the fault: ' || rule)
from rules;
select is(array(select object from excused where object not in (
            select b from rules, schemas, pg_temp.broken(schema, query) b where rules.rule = excused.rule)), '{}'::text[],
          'each excused fault exists');

-- A schema with all faults: every rule must find one.
create schema tap_bad;
create role tap_other;
grant usage, create on schema tap_bad to public;
create table tap_bad.one (id int references tap_bad.one (id), unique (id), api_token text, at timestamp, hook regproc);
create index on tap_bad.one (at); create index on tap_bad.one (at);
create policy first on tap_bad.one using (current_setting('x') = 'y');
create policy second on tap_bad.one with check (true);
create table tap_bad.two (id int primary key, parent int references tap_bad.one (id));
grant select on tap_bad.two to tap_other with grant option;
create view tap_bad.seen as select 1 as x;
create materialized view tap_bad.kept as select 1 as x;
create sequence tap_bad.numbers; grant usage on sequence tap_bad.numbers to tap_other;
create function tap_bad.asks(x text) returns void language plpgsql as $$ begin execute 'select ' || x; end $$;
create function tap_bad.leaks() returns int language sql security definer leakproof as 'select 1';
alter function tap_bad.leaks() owner to tap_other;
create trusted language tap_language handler plpgsql_call_handler;
create function tap_bad.stranger() returns int language tap_language as 'begin return 1; end';
select isnt(array(select pg_temp.broken('tap_bad', query)), '{}'::text[], 'the linter finds the fault: ' || rule) from rules;

-- Checks that need no faulty schema. All functions with dynamic SQL were reviewed. Their SQL gets only: relations as
-- regclass or by %I, numbers, the constants of partitioned_tables(), the queries of row_key_query(), which quotes its
-- names, the conditions of trim_pages(), which have literals of ours, and the names of our objects and of roles in
-- revoke_grants().
select is(array(select p.proname::text from pg_proc p join schemas on p.pronamespace = schema::regnamespace where regexp_replace(p.prosrc, '''[^'']*''', '', 'g') ~* '\mexecute\M' order by 1),
          '{drop_partitions,find_in_pages,index_partitions,keys_without_row,make_partition,revoke_grants,rotate_outbox,trim_pages}'::text[], 'no other function has dynamic SQL');
-- A backslash in a string depends on standard_conforming_strings, when the function is created or when it is called.
select is(array(select p.oid::regprocedure::text from pg_proc p join schemas on p.pronamespace = schema::regnamespace
                where p.prosrc ~ '\\' or pg_get_function_sqlbody(p.oid) ~ '\\'
                union all select conrelid::regclass || '.' || conname from pg_constraint k join schemas on k.connamespace = schema::regnamespace
                where pg_get_constraintdef(k.oid) ~ '\\'), '{}'::text[], 'no function and no constraint has a backslash');
-- The rules for dynamic SQL first remove the literals from the source.
select is(array(select p.oid::regprocedure::text from pg_proc p join schemas on p.pronamespace = schema::regnamespace where p.prosrc ~ '--[^\n]*'''),
          '{}'::text[], 'no comment in a function has an apostrophe, which would hide an EXECUTE from the rules');
select is(array(select rolname::text from pg_roles where rolname in ('sealcast_admin', 'sealcast_service', 'sealcast_user')
                and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)), '{}'::text[], 'no role has rights beyond its grants');
select is(array(select m.roleid::regrole || ' has ' || m.member::regrole from pg_auth_members m
                where m.roleid in (select oid from pg_roles where rolname like 'sealcast\_%') or m.member in (select oid from pg_roles where rolname like 'sealcast\_%')),
          '{}'::text[], 'no role is a member of another');
select is((select count(*) from pg_default_acl join schemas on defaclnamespace = schema::regnamespace), 0::bigint, 'there are no default privileges for new objects in the schemas');
select is(array(select e.extname::text from pg_extension e join schemas on e.extname = schema
                where has_schema_privilege('sealcast_user', e.extnamespace, 'create')), '{}'::text[], 'users cannot create objects in the schema of an extension');

-- Null arguments must give a result or an error, and must not crash the server.
create function pg_temp.survives(statement text) returns boolean language plpgsql as $$
begin
  execute statement;
  return true;
exception when others then
  return sqlstate not like 'XX%';
end $$;
select is(array(select p.oid::regprocedure::text from pg_proc p join schemas on p.pronamespace = schema::regnamespace
                where p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
                  and not pg_temp.survives(format('select * from %I.%I(%s)', schema, p.proname,
                    (select string_agg('null::' || t::regtype, ', ' order by n) from unnest(p.proargtypes::oid[]) with ordinality a (t, n))))),
          '{}'::text[], 'no function crashes the server when its arguments are null');
select * from finish();
rollback;

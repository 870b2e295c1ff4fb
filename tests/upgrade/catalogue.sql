-- Prints the objects of the extension :extension in a database, one line per object or part of it, so that two databases can
-- be compared. The order of the columns of a table is left out: an upgrade cannot choose it, and nothing may rely on it.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset pager off
set search_path = pg_catalog;

with extension as (
  select * from pg_extension where extname = :'extension'
), member as (
  select d.classid, d.objid from pg_depend d, extension e
  where d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
), relation as (
  select c.* from pg_class c join member m on m.classid = 'pg_class'::regclass and m.objid = c.oid
  -- A composite type is a member of the extension, but the relation with its columns is not.
  union all select c.* from pg_class c join member m on m.classid = 'pg_type'::regclass and m.objid = c.reltype where c.relkind = 'c'
), with_indexes as (
  select * from relation
  union all select c.* from relation r join pg_index i on i.indrelid = r.oid join pg_class c on c.oid = i.indexrelid
), line (object, part, value) as (
  select pg_describe_object(classid, objid, 0), 'member', coalesce(obj_description(objid, classid::regclass::text), '') from member

  union all
  select 'extension', 'dumps ' || config::regclass::text, condition
  from extension, unnest(extconfig, extcondition) u (config, condition)

  union all
  select 'schema ' || nspname, 'acl', array(select a::text from unnest(nspacl) a order by 1)::text
  from pg_namespace where nspname in (:'extension', :'extension' || '_internal')

  union all
  select oid::regclass::text, 'relation',
         concat_ws(', ', 'kind ' || relkind::text, 'persistence ' || relpersistence::text, 'owner ' || relowner::regrole::text, 'rls ' || relrowsecurity, 'identity ' || relreplident::text,
                   'forced ' || relforcerowsecurity, 'options ' || array_to_string(array(select unnest(reloptions) order by 1), ' '),
                   'key ' || pg_get_partkeydef(oid), 'bound ' || pg_get_expr(relpartbound, oid),
                   'acl ' || array_to_string(array(
                      select a::text from unnest(coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))) a
                      order by 1), ' '))
  from with_indexes

  union all
  -- The order of the columns counts for a composite type only.
  select a.attrelid::regclass::text, 'column ' || a.attname,
         concat_ws(', ', case c.relkind when 'c' then 'number ' || a.attnum end, format_type(a.atttypid, a.atttypmod),
                   case when a.attnotnull then 'not null' end, 'default ' || pg_get_expr(d.adbin, d.adrelid),
                   'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''), 'storage ' || a.attstorage::text,
                   'collation ' || nullif(a.attcollation, 0)::regcollation::text, 'acl ' || array(select x::text from unnest(a.attacl) x order by 1)::text, col_description(a.attrelid, a.attnum))
  from relation c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
  where a.attnum > 0 and not a.attisdropped

  union all
  select i.indrelid::regclass::text, 'index ' || i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) || ', valid ' || i.indisvalid
  from relation c join pg_index i on i.indrelid = c.oid

  union all
  select o.conrelid::regclass::text, 'constraint ' || o.conname,
         pg_get_constraintdef(o.oid) || ', valid ' || o.convalidated || coalesce(', ' || obj_description(o.oid, 'pg_constraint'), '')
  from relation c join pg_constraint o on o.conrelid = c.oid

  union all
  select t.tgrelid::regclass::text, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || ', enabled ' || t.tgenabled::text
  from relation c join pg_trigger t on t.tgrelid = c.oid where not t.tgisinternal

  union all
  select p.polrelid::regclass::text, 'policy ' || p.polname,
         concat_ws(', ', 'for ' || p.polcmd::text, 'permissive ' || p.polpermissive,
                   'to ' || array(select r::regrole::text from unnest(p.polroles) r order by 1)::text,
                   'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  from relation c join pg_policy p on p.polrelid = c.oid

  union all
  select oid::regclass::text, 'view', pg_get_viewdef(oid) from relation where relkind = 'v'

  union all
  select s.seqrelid::regclass::text, 'sequence', (to_jsonb(s) - 'seqrelid' - 'seqtypid' || jsonb_build_object('type', s.seqtypid::regtype))::text
  from relation c join pg_sequence s on s.seqrelid = c.oid

  union all
  select p.oid::regprocedure::text, 'function',
         concat_ws(', ', pg_get_functiondef(p.oid), 'owner ' || p.proowner::regrole::text, 'leakproof ' || p.proleakproof,
                   'acl ' || array(select a::text from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a order by 1)::text)
  from pg_proc p join member m on m.classid = 'pg_proc'::regclass and m.objid = p.oid

  union all
  select e.enumtypid::regtype::text, 'label ' || e.enumlabel, 'number ' || row_number() over (partition by e.enumtypid order by e.enumsortorder)
  from pg_enum e join member m on m.classid = 'pg_type'::regclass and m.objid = e.enumtypid

  union all
  -- Rows that the script inserts.
  select 'sealcast_internal.relay_leases', 'rows', array_agg(shard order by shard)::text from sealcast_internal.relay_leases
  union all
  select 'sealcast_internal.maintenance', 'rows', count(*)::text from sealcast_internal.maintenance
)
select object || ' | ' || part || ' | ' || replace(value, E'\n', '\n') from line order by object collate "C", part collate "C", value collate "C";

-- Refuses ALTER TABLE that adds, drops, renames or retypes a column of the tables of the two extensions. Applications
-- have streams.metadata and tables of their own.

create function sealcast_internal.refuse_column_changes() returns event_trigger
  language c as 'MODULE_PATHNAME', 'sealcast_refuse_column_changes';
-- 90_privileges.sql has run already.
select sealcast_internal.revoke_grants(format('routine %s', f.oid::regprocedure), coalesce(f.proacl, acldefault('f', f.proowner)), f.proowner)
from pg_proc f where f.oid = 'sealcast_internal.refuse_column_changes()'::regprocedure;
create event trigger sealcast_refuse_column_changes on ddl_command_start when tag in ('ALTER TABLE')
  execute function sealcast_internal.refuse_column_changes();

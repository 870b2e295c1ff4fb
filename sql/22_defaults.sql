-- The rows with which a new database begins. CREATE EXTENSION inserts none of them: a dump must restore into empty
-- tables, in every way that pg_restore has. The first maintain() inserts them (80_maintain.sql).

create function sealcast_internal.built_in_types(out t text, out required_roles text[], out system_only boolean, out tier smallint,
                                        out retained boolean)
  returns setof record
  language sql immutable parallel safe
begin atomic
  values
    ('chat', null::text[], false, 2::smallint, false),
    ('reaction', null, false, 2, false),
    ('announcement', '{owner,moderator}', false, 0, false),
    ('transport_migrate', null, true, 0, true),
    ('transport_warmup', null, true, 0, false),
    ('sampling_update', null, true, 0, true),
    ('viewer_count_update', null, true, 0, true),
    ('stream_rules', null, true, 0, true),
    ('pinned', null, true, 0, true),
    ('message_redacted', null, true, 0, false),
    ('messages_purged', null, true, 0, false);
end;
comment on function sealcast_internal.built_in_types() is 'Returns the message types with which a new database begins';

create table sealcast.added_types (
  t text primary key
);
comment on table sealcast.added_types is
  'The built-in message types that this database has received. A row stays when its type is deleted, so the type is not added again';

-- Also adds the types of a newer version of the extension, to a dump of an older one.
create function sealcast_internal.add_built_in_types() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- maintain() mostly has nothing to add. Then it does not need message_types, which may be locked: autovacuum truncates it.
  if not exists (select from sealcast_internal.built_in_types() b where not exists (select from sealcast.added_types a where a.t = b.t)) then
    return;
  end if;
  with added as (
    insert into sealcast.added_types select b.t from sealcast_internal.built_in_types() b on conflict do nothing returning t)
  insert into sealcast.message_types (t, required_roles, system_only, tier, retained)
  select b.t, b.required_roles, b.system_only, b.tier, b.retained from sealcast_internal.built_in_types() b join added using (t)
  on conflict do nothing;
end $$;

-- Before the first maintain() there is no row to change, and a change would be lost without an error.
create function sealcast_internal.require_defaults() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from sealcast.added_types) then
    raise exception '%.% has none of its default rows yet', tg_table_schema, tg_table_name
      using errcode = 'object_not_in_prerequisite_state', hint = 'Run first: select * from sealcast.maintain().';
  end if;
  return null;
end $$;
create trigger require_defaults before update or delete on sealcast.message_types
  for each statement execute function sealcast_internal.require_defaults();

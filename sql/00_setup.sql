-- Opens the extension's script: creates the two schemas and the cluster's three roles, and checks the configuration of
-- the server.
\echo Use "CREATE EXTENSION sealcast" to load this file. \quit

create schema sealcast;
comment on schema sealcast is 'Sealcast, live-stream chat: each message is authorised, canonicalised, signed and inserted exactly once';

-- Everything that is not meant for users: what the sidecar calls, and what the functions of users are made of.
create schema sealcast_internal;
comment on schema sealcast_internal is
  'The machinery of Sealcast: the sidecar and the functions of schema sealcast use it. It may change with every version';

-- Roles belong to the whole cluster, not to one database. The script creates a role only when it is missing, and DROP
-- EXTENSION leaves the roles in place.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['sealcast_admin', 'sealcast_service', 'sealcast_user'] loop
    begin
      execute format('create role %I nologin', role_name);
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
end $$;

-- The number by which a sidecar recognises that it can work with this script. Raise it when an older sidecar could not
-- work with this script, or when a newer sidecar could not work with the older script. Raise kInterfaceVersion in
-- sidecar/src/client/postgres/interface_version.h together with it.
create function sealcast.interface_version() returns integer
  language sql immutable parallel safe return 3;

-- Raises an error when the database cannot store sealed messages. Warns about each setting that is still missing.
create function sealcast_internal.setup_notices() returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_setup_notices';
select sealcast_internal.setup_notices();

-- Raises under session_replication_role = replica. Functions whose effects need a trigger call it first. The triggers
-- themselves must not fire under that setting: logical replication and restores bring their effects as rows.
create function sealcast_internal.require_triggers() returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('session_replication_role') = 'replica' then
    raise exception 'session_replication_role is replica, so the triggers of this change would not fire'
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Set session_replication_role to origin for this connection; look for it in the settings of the role and of the database.';
  end if;
end $$;

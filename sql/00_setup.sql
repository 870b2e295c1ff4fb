-- Opens the extension's script: creates the schema and the cluster's three roles, and checks the configuration of the
-- server.
\echo Use "CREATE EXTENSION sealcast" to load this file. \quit

create schema sealcast;
comment on schema sealcast is 'Sealcast, live-stream chat: each message is authorised, canonicalised, signed and inserted exactly once';

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
  language sql immutable parallel safe return 1;

-- Raises an error when the database cannot store sealed messages. Warns about each setting that is still missing.
create function sealcast.setup_notices() returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_setup_notices';
select sealcast.setup_notices();

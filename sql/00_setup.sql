-- Opens the extension's script: what it needs, its schema and the cluster's three roles.
\echo Use "CREATE EXTENSION sealcast" to load this file. \quit

create schema sealcast;
comment on schema sealcast is 'Sealcast: live-stream chat, each message authorised, canonicalised, signed and inserted exactly once';

-- Roles belong to the cluster, not to a database: they are made once and stay when the extension goes.
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

-- What a sidecar can rely on, as a number. Raised when a sidecar of before could not work with this script, or its successor
-- with the script of before; kInterfaceVersion in sidecar/src/postgres/interface.h goes with it.
create function sealcast.interface_version() returns integer
  language sql immutable parallel safe return 1;

-- Errors when the database cannot hold sealed messages; warns about what is not configured yet.
create function sealcast.setup_notices() returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_setup_notices';
select sealcast.setup_notices();

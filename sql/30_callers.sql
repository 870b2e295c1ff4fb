-- The caller: the claims, the user id, and whether the caller is an admin.

-- Raises a verdict: SQLSTATE PTnnn, and a DETAIL that begins with the code. In a request of PostgREST it has the form from
-- which PostgREST makes a response.
create function sealcast_internal.refuse(status integer, code text, message text, details text default null,
                                hint text default null, retry_after_ms bigint default null) returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_refuse';

-- Raises unless a page of this many rows may be read.
create function sealcast_internal.require_page_limit("limit" integer) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if ("limit" between 1 and 500) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('limit is %s', coalesce("limit"::text, 'null')),
                                     'limit must be from 1 to 500', 'Send a limit from 1 to 500, and read further pages by after or before.');
  end if;
end $$;

create function sealcast_internal.require_channel(channel text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (channel in ('public', 'vip')) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', 'there is no such channel',
                                     'channel must be public or vip', 'Send public or vip, or leave the channel out.');
  end if;
end $$;

-- Raises when a text of a user is longer than 500 characters. `name` is the argument.
create function sealcast_internal.require_short(name text, value text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if length(value) > 500 then
    perform sealcast_internal.refuse(400, 'invalid_request', format('%s is too long: %s characters', name, length(value)), null,
                            'Use at most 500 characters.');
  end if;
end $$;

-- Takes the privileges on a new object from all roles but its owner. ALTER DEFAULT PRIVILEGES may have granted some.
create function sealcast_internal.revoke_grants(object text, acl aclitem[], owner oid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  grantee oid;
begin
  for grantee in select distinct a.grantee from aclexplode(acl) a where a.grantee <> owner loop
    execute format('revoke all on %s from %s', object, case when grantee = 0 then 'public' else grantee::regrole::text end);
  end loop;
end $$;

-- Does the same for all objects of a schema.
create function sealcast_internal.revoke_all_grants(schema regnamespace) returns void
  language sql set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.revoke_grants(format('schema %s', n.oid::regnamespace), n.nspacl, n.nspowner)
  from pg_namespace n where n.oid = schema;
  select sealcast_internal.revoke_grants(format('table %s', c.oid::regclass), c.relacl, c.relowner)
  from pg_class c where c.relnamespace = schema and c.relkind in ('r', 'p', 'v', 'S');
  select sealcast_internal.revoke_grants(format('routine %s', f.oid::regprocedure), coalesce(f.proacl, acldefault('f', f.proowner)), f.proowner)
  from pg_proc f where f.pronamespace = schema;
end;

-- The claims are parsed in one place, extension/admission/caller.cpp. Claims that are not valid belong to no user and to
-- no admin.
create function sealcast.claims() returns jsonb
  language c stable as 'MODULE_PATHNAME', 'sealcast_claims';
comment on function sealcast.claims() is
  'Returns the JWT claims of the session, or null when they are not valid; a gateway such as PostgREST sets them with SET LOCAL request.jwt.claims';

-- Returns the user id of the caller, or null. It raises no error, because policies call it.
create function sealcast.caller_id() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_caller_id';
comment on function sealcast.caller_id() is 'Returns sub of the session''s claims; null when sub is missing, is not a UUID, or is nil';

-- Returns the user id of the caller. Raises PT401 when there is no user id or when the session has expired.
create function sealcast_internal.current_sender() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_current_sender';

-- Returns whether the caller is sealcast_admin and its claims, if there are any, are not those of a user.
create function sealcast_internal.is_admin() returns boolean
  language c stable as 'MODULE_PATHNAME', 'sealcast_is_admin';

-- The caller: the user id, the role, and the streams that the caller may read or moderate.

-- Raises a verdict in the form that PostgREST expects: SQLSTATE PTnnn, and a DETAIL that begins with the code.
create function sealcast.refuse(status integer, code text, message text, details text default null,
                                hint text default null, retry_after_ms bigint default null) returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_refuse';

create function sealcast.claims() returns jsonb
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
exception when data_exception or program_limit_exceeded then
  return null;
end $$;
comment on function sealcast.claims() is
  'Returns the JWT claims of the session; a gateway such as PostgREST sets them with SET LOCAL request.jwt.claims';

-- Returns the user id of the caller, or null. It raises no error, because policies call it.
create function sealcast.caller_id() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_caller_id';
comment on function sealcast.caller_id() is 'Returns sub of the session''s claims; null when sub is missing, is not a UUID, or is nil';

-- Returns the user id of the caller. Raises PT401 when there is no user id or when the session has expired.
create function sealcast.current_sender() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_current_sender';

-- Inside SECURITY DEFINER, the caller's role is the role of SET ROLE, else the role of the login. Claims with the role
-- sealcast_user belong to a user, whatever role the gateway has (call_as()).
create function sealcast.is_admin() returns boolean
  language sql stable
  return pg_has_role(coalesce(nullif(current_setting('role', true), 'none'), session_user)::name, 'sealcast_admin', 'usage')
         and sealcast.claims() ->> 'role' is distinct from 'sealcast_user';

create function sealcast.role_in(stream_id uuid, user_id uuid) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select r.role from sealcast.stream_roles r where r.stream_id = role_in.stream_id and r.user_id = role_in.user_id);

create function sealcast.can_read(stream_id uuid, user_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return exists (
    select from sealcast.streams s
    where s.stream_id = can_read.stream_id
      and (s.visibility = 'public'
           or exists (select from sealcast.stream_roles r
                      where r.stream_id = s.stream_id and r.user_id = can_read.user_id)
              and not exists (select from sealcast.restrictions x
                              where x.user_id = can_read.user_id and x.kind = 'ban'
                                and (x.stream_id = s.stream_id or x.stream_id is null)
                                and (x.until is null or x.until > clock_timestamp()))));
comment on function sealcast.can_read(uuid, uuid) is
  'Returns whether the user may read the stream. Everybody may read a public stream; only users who have a role and are not banned may read a private one';

create function sealcast.moderating_roles() returns text[]
  language sql immutable parallel safe
  return array['owner', 'moderator'];

-- The policies call these two functions. Both answer for the caller alone, so that a caller learns nothing about other
-- users.
create function sealcast.caller_can_read(stream_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return sealcast.can_read(stream_id, sealcast.caller_id());
create function sealcast.caller_moderates(stream_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return coalesce(sealcast.role_in(stream_id, sealcast.caller_id()) = any (sealcast.moderating_roles()), false);

-- Who is calling, and what they may do.

-- RAISEs a verdict as PostgREST expects it: SQLSTATE PTnnn, DETAIL beginning with the code.
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
  'The session''s JWT claims, set by a gateway such as PostgREST with SET LOCAL request.jwt.claims';

-- The caller's user id, or null. For policies, which must not fail.
create function sealcast.caller_id() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_caller_id';
comment on function sealcast.caller_id() is 'sub of the session''s claims; null when there is none, or it is no UUID, or nil';

-- The same, refused with PT401 when there is none or the session has expired.
create function sealcast.current_sender() returns uuid
  language c stable as 'MODULE_PATHNAME', 'sealcast_current_sender';

-- The role that called, beneath SECURITY DEFINER: what SET ROLE chose, else who logged in. Claims with the role
-- sealcast_user are a user's, whatever role their gateway has (call_as()).
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
  'Public streams are anyone''s to read; private ones are for users with a role in them who are not banned';

create function sealcast.moderating_roles() returns text[]
  language sql immutable parallel safe
  return array['owner', 'moderator'];

-- What the policies ask. They speak of the caller alone, so that nobody learns of others by calling them.
create function sealcast.caller_can_read(stream_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return sealcast.can_read(stream_id, sealcast.caller_id());
create function sealcast.caller_moderates(stream_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return coalesce(sealcast.role_in(stream_id, sealcast.caller_id()) = any (sealcast.moderating_roles()), false);

-- Mutes, bans and roles, for moderators of the stream and for sealcast_admin.

-- Raises unless the caller may moderate `target` in the stream; stream_id null: in all streams. Only an owner or an
-- admin may restrict owners and moderators, change their roles, or grant these two roles.
create function sealcast.require_moderator(stream_id uuid, target uuid, granted_role text default null) returns void
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  moderating constant text[] := sealcast.moderating_roles();
  caller_role text;
begin
  -- The nil UUID is the system itself, which cannot be muted or banned.
  if target is null or target = '00000000-0000-0000-0000-000000000000' then
    perform sealcast.refuse(400, 'invalid_request', 'user_id is null or nil', null, 'Pass the UUID of a user.');
  end if;
  perform sealcast.require_here(stream_id);
  if stream_id is not null and not exists (select from sealcast.streams s where s.stream_id = require_moderator.stream_id) then
    perform sealcast.refuse(404, 'stream_not_found', format('stream %s does not exist', stream_id), null, 'Check stream_id.');
  end if;
  if sealcast.is_admin() then
    return;
  end if;
  if stream_id is null then
    perform sealcast.refuse(403, 'role_required', 'only sealcast_admin may restrict a user in all streams', 'sealcast_admin',
                            'Pass the stream_id of a stream that you moderate.');
  end if;
  caller_role := sealcast.role_in(stream_id, sealcast.current_sender());
  if caller_role = 'owner' then
    return;
  end if;
  if caller_role is distinct from 'moderator' then
    perform sealcast.refuse(403, 'role_required', 'only an owner or a moderator of the stream may do this', 'owner or moderator',
                            'Ask an owner of the stream for the role moderator.');
  end if;
  if sealcast.role_in(stream_id, target) = any (moderating) or granted_role = any (moderating) then
    perform sealcast.refuse(403, 'role_required', 'only an owner may restrict or appoint owners and moderators', 'owner',
                            'Ask an owner of the stream to do it.');
  end if;
end $$;

create function sealcast.restrict_user(kind text, stream_id uuid, user_id uuid, until timestamptz, reason text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast.require_moderator(stream_id, user_id);
  if until <= clock_timestamp() then
    perform sealcast.refuse(400, 'invalid_request', format('until %s is in the past', until), null,
                            'Choose a later time, or null for a restriction without an end.');
  elsif length(reason) > 500 then
    perform sealcast.refuse(400, 'invalid_request', format('reason is too long: %s characters', length(reason)), null,
                            'Use at most 500 characters.');
  end if;
  insert into sealcast.restrictions as r (kind, stream_id, user_id, until, reason, created_by)
    values (restrict_user.kind, restrict_user.stream_id, restrict_user.user_id, nullif(restrict_user.until, 'infinity'),
            restrict_user.reason, sealcast.caller_id())
  on conflict on constraint restrictions_key
    do update set until = excluded.until, reason = excluded.reason, created_by = excluded.created_by, created_at = now();
end $$;

create function sealcast.lift_restriction(kind text, stream_id uuid, user_id uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast.require_moderator(stream_id, user_id);
  delete from sealcast.restrictions r
  where r.kind = lift_restriction.kind and r.user_id = lift_restriction.user_id
    and r.stream_id is not distinct from lift_restriction.stream_id;
  return found;
end $$;

create function sealcast.mute(stream_id uuid, user_id uuid, until timestamptz default null, reason text default null) returns void
  language sql set search_path = pg_catalog, pg_temp
  return sealcast.restrict_user('mute', stream_id, user_id, until, reason);
comment on function sealcast.mute(uuid, uuid, timestamptz, text) is
  'Forbids the user to send. stream_id null: in all streams (sealcast_admin only); until null: without an end. A second call replaces the first';

create function sealcast.ban(stream_id uuid, user_id uuid, until timestamptz default null, reason text default null) returns void
  language sql set search_path = pg_catalog, pg_temp
  return sealcast.restrict_user('ban', stream_id, user_id, until, reason);
comment on function sealcast.ban(uuid, uuid, timestamptz, text) is
  'Forbids the user to send, and to read private streams. The arguments are those of mute()';

create function sealcast.unmute(stream_id uuid, user_id uuid) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast.lift_restriction('mute', stream_id, user_id);
create function sealcast.unban(stream_id uuid, user_id uuid) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast.lift_restriction('ban', stream_id, user_id);
comment on function sealcast.unmute(uuid, uuid) is 'Lifts a mute. Returns false when there was none';
comment on function sealcast.unban(uuid, uuid) is 'Lifts a ban. Returns false when there was none';

create function sealcast.set_role(stream_id uuid, user_id uuid, role text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if stream_id is null then
    perform sealcast.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream in which the role applies.');
  end if;
  perform sealcast.require_moderator(stream_id, user_id, role);
  if role is null then
    delete from sealcast.stream_roles r where r.stream_id = set_role.stream_id and r.user_id = set_role.user_id;
  elsif role !~ '^[a-z][a-z0-9_]{0,31}$' then
    perform sealcast.refuse(400, 'invalid_request', format('invalid role name: %L', left(role, 64)), null,
                            'Use a name that matches [a-z][a-z0-9_]{0,31}.');
  else
    insert into sealcast.stream_roles (stream_id, user_id, role) values (set_role.stream_id, set_role.user_id, set_role.role)
    on conflict on constraint stream_roles_pkey do update set role = excluded.role, granted_at = now();
  end if;
end $$;
comment on function sealcast.set_role(uuid, uuid, text) is
  'Gives the user the role (owner, moderator, or a name that the application chooses); null removes the role';

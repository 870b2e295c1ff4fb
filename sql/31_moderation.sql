-- Mutes, bans and roles. 31_authority.sql decides who may use them. The triggers of 34_moderation_log.sql enter the changes
-- of rows in the moderation log; these functions enter the rows that they insert.

create function sealcast_internal.require_user(user_id uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- The nil UUID is the system itself, which cannot be muted or banned.
  if user_id is null or user_id = '00000000-0000-0000-0000-000000000000' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'user_id is null or nil', null, 'Pass the UUID of a user.');
  end if;
end $$;

create function sealcast_internal.restrict_user(kind text, stream_id uuid, user_id uuid, until timestamptz, reason text, note text,
                                                purge interval default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  issuer_rank sealcast.user_rank;
  issued sealcast.restrictions;
begin
  perform sealcast_internal.require_user(user_id);
  issuer_rank := sealcast_internal.authorise_and_lock(case when stream_id is null then 'restrict_everywhere' else 'restrict' end,
                                             stream_id, user_id);
  if until <= clock_timestamp() then
    perform sealcast_internal.refuse(400, 'invalid_request', format('until %s is in the past', until), null,
                            'Choose a later time, or null for a restriction without an end.');
  end if;
  perform sealcast_internal.require_short('reason', reason);
  perform sealcast_internal.require_short('note', note);
  perform sealcast_internal.require_purge(stream_id, purge);
  perform sealcast_internal.require_stream(stream_id);
  insert into sealcast.restrictions (kind, stream_id, user_id, until, reason, note, issuer_rank, created_by, created_at)
    values (kind, stream_id, user_id, nullif(until, 'infinity'), reason, note, issuer_rank, sealcast.caller_id(), clock_timestamp())
    returning * into issued;
  perform sealcast_internal.log_restriction(null, issued);
  -- Restrictions of a higher rank stay beside the new one.
  perform sealcast_internal.end_restrictions(kind, stream_id, user_id, issuer_rank, issued);
  if purge is not null then
    -- The reason of a restriction is for the user alone, and that of a redaction for all readers.
    perform sealcast_internal.purge_messages(stream_id, user_id, clock_timestamp() - purge, null);
  end if;
end $$;

-- Ends the restrictions in force that a caller of this rank may end, because they are lifted, or because `replacement`
-- replaces them. Returns how many, and how many stay.
create function sealcast_internal.end_restrictions(kind text, stream_id uuid, user_id uuid, rank sealcast.user_rank,
                                          replacement sealcast.restrictions, out ended bigint, out kept bigint) returns record
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update sealcast.restrictions r
  -- By this moment, log_restriction() finds the replacement.
  set lifted_at = coalesce(replacement.created_at, clock_timestamp()), lifted_by = sealcast.caller_id()
  where r.kind = end_restrictions.kind and r.user_id = end_restrictions.user_id and r.issuer_rank <= rank
    and r.stream_id is not distinct from end_restrictions.stream_id
    and r.restriction_id is distinct from replacement.restriction_id
    and r.lifted_at is null and coalesce(r.until, 'infinity') > clock_timestamp();
  get diagnostics ended = row_count;
  select count(*) into kept from sealcast.restrictions r
  where r.kind = end_restrictions.kind and r.user_id = end_restrictions.user_id
    and r.stream_id is not distinct from end_restrictions.stream_id
    and r.lifted_at is null and coalesce(r.until, 'infinity') > clock_timestamp();
end $$;

create function sealcast_internal.lift_restriction(kind text, stream_id uuid, user_id uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  done record;
begin
  perform sealcast_internal.require_user(user_id);
  done := sealcast_internal.end_restrictions(kind, stream_id, user_id,
    sealcast_internal.authorise_and_lock(case when stream_id is null then 'restrict_everywhere' else 'restrict' end, stream_id, user_id),
    null);
  if done.ended = 0 and done.kept > 0 then
    perform sealcast_internal.refuse(403, 'role_required', format('a %s of a higher rank is in force', kind), 'the rank of its issuer',
                            'Ask an owner of the stream, or an administrator, to lift it.');
  end if;
  return done.ended > 0;
end $$;

create function sealcast.mute(stream_id uuid, user_id uuid, until timestamptz default null, reason text default null,
                              note text default null, purge interval default null) returns void
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.restrict_user('mute', stream_id, user_id, until, reason, note, purge);
comment on function sealcast.mute(uuid, uuid, timestamptz, text, text, interval) is
  'Forbids the user to send. stream_id null: in all streams (sealcast_admin only); until null: without an end. It replaces earlier mutes, except those of a higher rank. note: only moderators and sealcast_admin can read it. purge: also redacts the messages that the user has sent to the stream within this time';

create function sealcast.ban(stream_id uuid, user_id uuid, until timestamptz default null, reason text default null,
                             note text default null, purge interval default null) returns void
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.restrict_user('ban', stream_id, user_id, until, reason, note, purge);
comment on function sealcast.ban(uuid, uuid, timestamptz, text, text, interval) is
  'Forbids the user to send, to moderate, and to read private streams and vip channels. The arguments are those of mute()';

create function sealcast.unmute(stream_id uuid, user_id uuid) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.lift_restriction('mute', stream_id, user_id);
create function sealcast.unban(stream_id uuid, user_id uuid) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.lift_restriction('ban', stream_id, user_id);
comment on function sealcast.unmute(uuid, uuid) is
  'Lifts the mutes of the caller''s rank and of lower ranks. Returns false when there was none; refuses when only mutes of a higher rank are in force';
comment on function sealcast.unban(uuid, uuid) is
  'Lifts the bans of the caller''s rank and of lower ranks. Returns false when there was none; refuses when only bans of a higher rank are in force';

create function sealcast.restrictions_of(stream_id uuid, user_id uuid default null) returns setof sealcast.restrictions
  language plpgsql stable security definer rows 50 set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.authorise(case when stream_id is null then 'restrict_everywhere' else 'read_restrictions' end, stream_id);
  return query
  select r.* from sealcast.restrictions r
  where r.stream_id is not distinct from restrictions_of.stream_id
    and r.user_id = coalesce(restrictions_of.user_id, r.user_id)
  order by r.created_at desc, r.restriction_id;
end $$;
comment on function sealcast.restrictions_of(uuid, uuid) is
  'Returns all mutes and bans of a stream, also ended ones, with their notes and authors, the newest first; user_id: only those of one user. For moderators; stream_id null: those in all streams, for sealcast_admin';

create function sealcast.set_role(stream_id uuid, user_id uuid, role text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  role_before text;
  granted sealcast.stream_roles;
begin
  if stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream in which the role applies.');
  elsif role !~ '^[a-z][a-z0-9_]{0,31}$' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the role name is invalid', left(role, 64),
                            'Use a name that matches [a-z][a-z0-9_]{0,31}.');
  end if;
  perform sealcast_internal.require_user(user_id);
  perform sealcast_internal.authorise_and_lock(
    case when sealcast_internal.is_staff_role(role) or sealcast_internal.is_staff_role(sealcast_internal.role_in(stream_id, user_id))
         then 'set_staff_role' else 'set_role' end, stream_id, user_id);
  perform sealcast_internal.require_stream(stream_id);
  -- Under the lock, the role of the user does not change any more.
  role_before := sealcast_internal.role_in(stream_id, user_id);
  if sealcast_internal.is_staff_role(role_before) then
    perform sealcast_internal.authorise('set_staff_role', stream_id, user_id);
  end if;
  if role is not distinct from role_before then
    return;
  elsif role is null then
    delete from sealcast.stream_roles r where r.stream_id = set_role.stream_id and r.user_id = set_role.user_id;
    return;
  elsif role = 'owner' then
    -- The first owner is the payee. With several owners and no payee, one must be chosen by set_payee().
    update sealcast.streams s
    set payee_id = (select case count(*) when 0 then set_role.user_id when 1 then min(r.user_id::text)::uuid end
                    from sealcast.stream_roles r where r.stream_id = s.stream_id and r.role = 'owner')
    where s.stream_id = set_role.stream_id and s.payee_id is null;
  end if;
  insert into sealcast.stream_roles (stream_id, user_id, role) values (set_role.stream_id, set_role.user_id, set_role.role)
  on conflict on constraint stream_roles_pkey do update set role = excluded.role, granted_at = now()
  returning * into granted;
  if role_before is null then
    perform sealcast_internal.log_role(null, granted);
  end if;
end $$;
comment on function sealcast.set_role(uuid, uuid, text) is
  'Gives the user the role (owner, moderator, or a name that the application chooses); null removes the role. Owners alone change the roles owner and moderator, and roles that a message type names';

create function sealcast.set_payee(stream_id uuid, user_id uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  rank sealcast.user_rank;
begin
  if stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream whose gifts the user gets.');
  end if;
  perform sealcast_internal.require_user(user_id);
  rank := sealcast_internal.authorise_and_lock('set_payee', stream_id, user_id);
  update sealcast.streams s set payee_id = set_payee.user_id
  where s.stream_id = set_payee.stream_id and (rank = 'admin' or s.payee_id is null or s.payee_id = sealcast.caller_id());
  if not found then
    perform sealcast_internal.refuse(403, 'role_required', 'the stream has another payee', 'the payee or sealcast_admin',
                            'Ask the payee, or an administrator, to do it.');
  end if;
end $$;
comment on function sealcast.set_payee(uuid, uuid) is
  'Sets who gets the gifts that name no recipient. For owners while the stream has no payee, then for the payee as long as the payee is an owner; always for sealcast_admin';

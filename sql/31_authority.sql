-- Authority: who may do what to whom. The only place of these rules in SQL; extension/admission/judge.cpp has the same
-- rules for sending. tests/pgtap/31_authority.sql walks all pairs of ranks.

create function sealcast_internal.rank_of(role text) returns sealcast.user_rank
  language sql immutable parallel safe
  return case when role is null then 'none' when role in ('owner', 'moderator') then role else 'member' end::sealcast.user_rank;

-- The table of authority.
-- least_rank   the least rank that may do the act
-- over_staff   the least rank when the target is an owner or a moderator; null: the target does not count
-- ended_by     the weakest restriction of the caller that ends the power: mute (a ban ends it too), or ban
-- A mute takes away the power to send. A ban takes away every power of its scope; what is left is what people without
-- a session may do. A restriction of the target does not make it easier to act on the target. Nobody acts on themselves.
create function sealcast_internal.authority(out act text, out least_rank sealcast.user_rank, out over_staff sealcast.user_rank,
                                   out ended_by text) returns setof record
  language sql immutable parallel safe rows 24
begin atomic
  select v.act, v.least_rank::sealcast.user_rank, v.over_staff::sealcast.user_rank, v.ended_by from (values
    --  act                   least_rank   over_staff  ended_by
    ('read',                  'none',      null,       null),
    ('read_private',          'member',    null,       'ban'),
    ('read_vip',              'member',    null,       'ban'),
    ('read_restrictions',     'moderator', null,       'ban'),
    ('read_reports',          'moderator', null,       'ban'),
    ('read_moderation_log',   'moderator', null,       'ban'),
    ('read_held',             'moderator', null,       'ban'),
    ('decide_held',           'moderator', 'owner',    'ban'),
    ('report',                'none',      null,       'ban'),
    ('resolve_report',        'moderator', 'owner',    'ban'),
    ('send',                  'none',      null,       'mute'),
    ('send_private',          'member',    null,       'mute'),
    ('restrict',              'moderator', 'owner',    'ban'),
    ('restrict_everywhere',   'admin',     'admin',    'ban'),
    ('set_role',              'moderator', 'owner',    'ban'),
    ('set_staff_role',        'owner',     'owner',    'ban'),
    ('redact',                'moderator', 'owner',    'ban'),
    ('redact_own',            'none',      null,       'ban'),
    ('set_payee',             'owner',     null,       'ban'),
    ('set_rules',             'moderator', null,       'ban'),
    ('pin',                   'moderator', null,       'ban'),
    ('read_terms',            'moderator', null,       'ban'),
    ('set_terms',             'moderator', null,       'ban'),
    ('terms_everywhere',      'admin',     null,       'ban'),
    ('erase_user',            'admin',     null,       'ban'),
    ('control',               'owner',     null,       'ban')) v (act, least_rank, over_staff, ended_by);
end;

-- What a user is in a stream: the role, and the strictest restriction in force with its text for the user. visibility
-- null: there is no such stream.
create function sealcast_internal.standing(stream_id uuid, user_id uuid, out visibility text, out role text, out restriction text,
                                  out message text, out details text, out hint text, out retry_after_ms bigint)
  returns record
  language c stable as 'MODULE_PATHNAME', 'sealcast_standing';

-- Returns whether a user with this role and this restriction may do the act.
create function sealcast_internal.allows(act text, role text, restriction text) returns boolean
  language sql immutable parallel safe
  return (select sealcast_internal.rank_of(allows.role) >= a.least_rank
                 and (a.ended_by is null or allows.restriction is null or a.ended_by = 'ban' and allows.restriction = 'mute')
          from sealcast_internal.authority() a where a.act = allows.act);

create function sealcast_internal.role_in(stream_id uuid, user_id uuid) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select s.role from sealcast_internal.standing(role_in.stream_id, role_in.user_id) s);

create function sealcast_internal.can_read(stream_id uuid, user_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  -- Everybody may do the act `read`, so allows() need not be asked once per row of a public stream.
  return (select coalesce(s.visibility = 'public' or sealcast_internal.allows('read_private', s.role, s.restriction), false)
          from sealcast_internal.standing(can_read.stream_id, can_read.user_id) s);
comment on function sealcast_internal.can_read(uuid, uuid) is
  'Returns whether the user may read the stream. Everybody may read a public stream; only users who have a role and are not banned may read a private one';

-- The policies call these two functions. Both answer for the caller alone, so that a caller learns nothing about other
-- users.
-- caller_can_read() asks can_read() at most once a second per stream that a statement reads
-- (extension/admission/can_read.cpp), because a policy calls it for each row.
create function sealcast.caller_can_read(stream_id uuid) returns boolean
  language c stable as 'MODULE_PATHNAME', 'sealcast_caller_can_read';
create function sealcast.caller_moderates(stream_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select sealcast_internal.allows('restrict', s.role, s.restriction)
          from sealcast_internal.standing(caller_moderates.stream_id, sealcast.caller_id()) s);

-- Returns whether only owners may grant and remove the role: owner, moderator, and each role that a message type names,
-- because such a role gives more than a moderator has.
create function sealcast_internal.is_staff_role(role text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return is_staff_role.role in ('owner', 'moderator')
         or exists (select from sealcast.message_types y
                    where is_staff_role.role = any (y.required_roles) or y.role_rates ? is_staff_role.role);

-- Raises unless the caller may do the act to the target (null: the act has no target). Returns the rank of the caller.
create function sealcast_internal.authorise(act text, stream_id uuid, target uuid default null) returns sealcast.user_rank
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  rule record;
  mine record;
  admin constant boolean := sealcast_internal.is_admin();
  needed sealcast.user_rank;
begin
  perform sealcast_internal.require_here(stream_id);
  select * into strict rule from sealcast_internal.authority() a where a.act = authorise.act;
  mine := sealcast_internal.standing(stream_id,
                            case when not admin and rule.least_rank <> 'admin' then sealcast_internal.current_sender() end);
  if stream_id is not null and mine.visibility is null then
    perform sealcast_internal.refuse(404, 'stream_not_found', format('stream %s does not exist', stream_id), null, 'Check stream_id.');
  end if;
  needed := case when sealcast_internal.role_in(stream_id, target) in ('owner', 'moderator') then coalesce(rule.over_staff, rule.least_rank)
                 else rule.least_rank end;
  if not admin and sealcast_internal.rank_of(mine.role) < needed then
    perform sealcast_internal.refuse(403, 'role_required',
      case needed when 'admin' then 'only sealcast_admin may do this in all streams'
                  when 'moderator' then 'only an owner or a moderator of the stream may do this'
                  else 'only an owner of the stream may do this' end,
      case needed when 'admin' then 'sealcast_admin' when 'moderator' then 'owner or moderator' else needed::text end,
      case needed when 'admin' then 'Pass the stream_id of a stream that you moderate.'
                  when 'moderator' then 'Ask an owner of the stream for the role moderator.'
                  else 'Ask an owner of the stream to do it.' end);
  elsif target = sealcast.caller_id() then
    perform sealcast_internal.refuse(403, 'role_required', 'nobody may do this to themselves', 'another user',
                            'Ask another owner of the stream, or an administrator, to do it.');
  elsif not admin and not sealcast_internal.allows(act, mine.role, mine.restriction) then
    perform sealcast_internal.refuse(403, case mine.restriction when 'ban' then 'user_banned' else 'user_muted' end,
                            mine.message, mine.details, mine.hint, mine.retry_after_ms);
  end if;
  return case when admin then 'admin' else sealcast_internal.rank_of(mine.role) end;
end $$;

-- As authorise(), for acts that write: what it has checked stays true until the transaction ends, because the roles and
-- restrictions of a stream change under the lock of its row. A caller who may not act never gets the lock. Admission
-- locks no streams, so it does not wait. Triggers enter what follows in the moderation log, so they must fire.
create function sealcast_internal.authorise_and_lock(act text, stream_id uuid, target uuid default null) returns sealcast.user_rank
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.require_triggers();
  perform sealcast_internal.authorise(act, stream_id, target);
  perform from sealcast.streams s where s.stream_id = authorise_and_lock.stream_id for no key update;
  return sealcast_internal.authorise(act, stream_id, target);
end $$;

-- Raises unless the caller may read the stream. The refusals are those of GET /streams/{id}/messages.
create function sealcast_internal.authorise_reading(stream_id uuid) returns void
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  mine record;
begin
  perform sealcast_internal.require_here(stream_id);
  mine := sealcast_internal.standing(stream_id, sealcast.caller_id());
  if mine.visibility is null then
    perform sealcast_internal.refuse(404, 'stream_not_found', format('stream %s does not exist', stream_id), null, 'Check stream_id.');
  elsif mine.visibility = 'public' or sealcast_internal.is_admin() then
    return;
  end if;
  perform sealcast_internal.current_sender();
  if sealcast_internal.allows('read_private', mine.role, mine.restriction) then
    return;
  elsif mine.restriction = 'ban' then
    perform sealcast_internal.refuse(403, 'user_banned', mine.message, mine.details, mine.hint, mine.retry_after_ms);
  end if;
  perform sealcast_internal.refuse(403, 'role_required', 'this stream is private and you have no role in it', null,
                                   'Ask an owner of the stream for a role.');
end $$;

-- Mute, ban and roles: who may, what it does, and when it ends.
begin;
\ir scene.psql
select plan(52);

-- Who may mute whom.
create temp table attempts (who text, sub text, target uuid, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, :guest, 'ok', 'an owner may mute a guest'),
  ('sealcast_user', :owner, :moderator, 'ok', 'an owner may mute a moderator'),
  ('sealcast_user', :moderator, :guest, 'ok', 'a moderator may mute a guest'),
  ('sealcast_user', :moderator, :owner, 'PT403 role_required', 'a moderator may not mute the owner'),
  ('sealcast_user', :moderator, :moderator, 'PT403 role_required', 'nor one of the moderators'),
  ('sealcast_user', :vip, :guest, 'PT403 role_required', 'another role does not moderate'),
  ('sealcast_user', :guest, :vip, 'PT403 role_required', 'nor does none'),
  ('sealcast_user', null, :guest, 'PT401 unauthenticated', 'nobody is not let in'),
  ('sealcast_admin', null, :owner, 'ok', 'an admin needs no session'),
  ('sealcast_user', :moderator, :system, 'PT400 invalid_request', 'nobody mutes the system'),
  ('sealcast_user', :moderator, null, 'PT400 invalid_request', 'nor nobody');
select is(pg_temp.outcome(who, sub, format('select sealcast.mute(%L, %L)', :room, target)), expected, why) from attempts;
select is(pg_temp.outcome('sealcast_service', null, format('select sealcast.mute(%L, %L)', :room, :guest)), '42501',
          'the service does not moderate');

select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(null, %L)', :guest)), 'PT403 role_required',
          'an owner may not mute everywhere');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :attic, :guest)), 'PT403 role_required',
          'nor in a stream of others');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :nowhere, :guest)), 'PT404 stream_not_found',
          'nor in one that is not there');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.mute(null, %L)', :guest)), 'ok', 'an admin may everywhere');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L, now() - interval ''1 s'')', :room, :guest)),
          'PT400 invalid_request', 'until must be ahead');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L, null, repeat(''x'', 501))', :room, :guest)),
          'PT400 invalid_request', 'a reason has 500 characters at most');
select isnt(hint, '', 'and the hint says what to do')
from pg_temp.try('sealcast_user', :owner, format('select sealcast.mute(%L, %L, null, repeat(''x'', 501))', :room, :guest));
delete from sealcast.restrictions;

-- What it does.
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a guest may send');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, now() + interval ''1 h'', ''spam'')', :room, :guest)),
          'ok', 'muted');
select is((select (reason, created_by) from sealcast.restrictions), ('spam'::text, :moderator::uuid), 'why and by whom is kept');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_muted', 'may not send');
select is(pg_temp.admit(:room, 'reaction', :guest, '{}'), '403 user_muted', 'of any type');
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '200', 'but elsewhere');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.mute(%L, %L)', :room, :guest)), 'ok', 'muted again');
select is((select array_agg(until) from sealcast.restrictions), array[null::timestamptz], 'the second call replaces the first');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.ban(%L, %L, ''infinity'')', :room, :guest)), 'ok', 'banned');
select is((select until from sealcast.restrictions where kind = 'ban'), null, 'infinity is for good');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_banned', 'a ban comes before a mute');
select is((select details from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[gen_random_uuid()], '{"{}"}')),
          null, 'and names no end when it has none');
select throws_ok(format('insert into sealcast.restrictions (user_id, kind, until) values (%L, ''ban'', ''infinity'')', :vip), '23514');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unban(%L, %L)', :room, :guest))), 'true', 'lifted');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unban(%L, %L)', :room, :guest))), 'false',
          'there is nothing left to lift');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_muted', 'the mute stands');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.unmute(%L, %L)', :room, :guest)), 'PT403 role_required',
          'nobody lifts their own');
update sealcast.restrictions set until = clock_timestamp();
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'it ends by itself');
insert into sealcast.restrictions (user_id, kind) values (:guest, 'mute');
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '403 user_muted', 'muted everywhere');
insert into sealcast.restrictions (user_id, stream_id, kind, until) values (:guest, :cave, 'ban', clock_timestamp());
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '403 user_muted', 'by what has not ended');
delete from sealcast.restrictions;

-- Roles.
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''vip'')', :room, :guest)), 'ok', 'a moderator makes a vip');
select is(sealcast.role_in(:room, :guest), 'vip', 'which the guest is then');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''moderator'')', :room, :guest)),
          'PT403 role_required', 'but no moderator');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''owner'')', :room, :moderator)),
          'PT403 role_required', 'nor themselves an owner');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''moderator'')', :room, :guest)), 'ok', 'an owner does');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.mute(%L, %L)', :room, :vip)), 'ok', 'and it holds at once');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, null)', :room, :guest)), 'ok', 'null takes it away');
select is(sealcast.role_in(:room, :guest), null, 'then there is none');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''No Role'')', :room, :guest)),
          'PT400 invalid_request', 'a role has a name');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(null, %L, ''vip'')', :guest)), 'PT400 invalid_request',
          'and a stream');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_role(%L, %L, ''owner'')', :attic, :guest)), 'ok', 'an admin may all');
select is(pg_temp.outcome('sealcast_user', '{"sub": "b0000000-0000-4000-8000-000000000001", "exp": 1}',
                          format('select sealcast.mute(%L, %L)', :room, :guest)), 'PT401 token_expired', 'a session ends');
create role tap_neither noinherit; grant sealcast_admin to tap_neither; grant usage on schema sealcast to tap_neither;
grant execute on function sealcast.mute(uuid, uuid, timestamptz, text), sealcast.restrict_user(text, uuid, uuid, timestamptz, text) to tap_neither;
select is(pg_temp.outcome('tap_neither', null, format('select sealcast.mute(null, %L)', :guest)), 'PT403 role_required',
          'a member that inherits nothing is no admin until SET ROLE');
select * from finish();
rollback;

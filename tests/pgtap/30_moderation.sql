-- Tests mutes, bans and roles: who may use them, what they do, and when they end.
begin;
\ir scene.psql
select plan(89);

-- Who may mute which user.
create temp table attempts (who text, sub text, target uuid, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, :guest, 'ok', 'an owner may mute a guest'),
  ('sealcast_user', :owner, :moderator, 'ok', 'an owner may mute a moderator'),
  ('sealcast_user', :moderator, :guest, 'ok', 'a moderator may mute a guest'),
  ('sealcast_user', :moderator, :owner, 'PT403 role_required', 'a moderator may not mute the owner'),
  ('sealcast_user', :moderator, :moderator, 'PT403 role_required', 'a moderator may not mute a moderator'),
  ('sealcast_user', :vip, :guest, 'PT403 role_required', 'a user with another role may not mute'),
  ('sealcast_user', :guest, :vip, 'PT403 role_required', 'a user without a role may not mute'),
  ('sealcast_user', null, :guest, 'PT401 unauthenticated', 'a caller without a session may not mute'),
  ('sealcast_admin', null, :owner, 'ok', 'an admin needs no session to mute'),
  ('sealcast_user', :moderator, :system, 'PT400 invalid_request', 'the system cannot be muted'),
  ('sealcast_user', :moderator, null, 'PT400 invalid_request', 'a null user is refused');
select is(pg_temp.outcome(who, sub, format('select sealcast.mute(%L, %L)', :room, target)), expected, why) from attempts;
select is(pg_temp.outcome('sealcast_service', null, format('select sealcast.mute(%L, %L)', :room, :guest)), '42501',
          'sealcast_service may not mute');

select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(null, %L)', :guest)), 'PT403 role_required',
          'an owner may not mute in all streams');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :attic, :guest)), 'PT403 role_required',
          'an owner may not mute in a stream of another owner');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :nowhere, :guest)), 'PT404 stream_not_found',
          'muting in a stream that does not exist is refused');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.mute(null, %L)', :guest)), 'ok', 'an admin may mute in all streams');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L, now() - interval ''1 s'')', :room, :guest)),
          'PT400 invalid_request', 'until must not be in the past');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L, null, repeat(''x'', 501))', :room, :guest)),
          'PT400 invalid_request', 'a reason may have at most 500 characters');
select isnt(hint, '', 'the refusal of a long reason has a hint')
from pg_temp.try('sealcast_user', :owner, format('select sealcast.mute(%L, %L, null, repeat(''x'', 501))', :room, :guest));
delete from sealcast.restrictions;

-- The effects of a mute and a ban.
insert into sealcast.stream_roles (stream_id, user_id, role) values (:cave, :guest, 'vip');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a guest may send');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, now() + interval ''1 h'', ''spam'')', :room, :guest)),
          'ok', 'a moderator mutes a guest');
select is((select (reason, created_by) from sealcast.restrictions), ('spam'::text, :moderator::uuid), 'the reason and the moderator are recorded');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_muted', 'a muted user may not send');
select is(pg_temp.admit(:room, 'reaction', :guest, '{}'), '403 user_muted', 'a muted user may not send any type');
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '200', 'a muted user may send in another stream');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.mute(%L, %L)', :room, :guest)), 'ok', 'a muted user can be muted again');
select is((select array_agg(until) from sealcast.restrictions where lifted_at is null), array[null::timestamptz], 'the second mute replaces the first');
select is((select (reason, lifted_by) from sealcast.restrictions where lifted_at is not null), ('spam'::text, :moderator::uuid), 'a mute that was replaced is kept as history');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.ban(%L, %L, ''infinity'')', :room, :guest)), 'ok', 'a moderator bans a guest');
select is((select until from sealcast.restrictions where kind = 'ban'), null, 'until infinity is stored as null, without an end');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_banned', 'a ban takes precedence over a mute');
select is((select details from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[gen_random_uuid()], '{"{}"}')),
          null, 'a ban without an end has no details');
select throws_ok(format('insert into sealcast.restrictions (user_id, kind, until) values (%L, ''ban'', ''infinity'')', :vip), '23514', null, 'until infinity cannot be stored directly');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unban(%L, %L)', :room, :guest))), 'true', 'unban() lifts a ban');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unban(%L, %L)', :room, :guest))), 'false',
          'unban() returns false when there is no ban');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_muted', 'lifting the ban leaves the mute');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.unmute(%L, %L)', :room, :guest)), 'PT403 role_required',
          'a guest may not lift their own mute');
update sealcast.restrictions set until = clock_timestamp();
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a mute ends at its until');
insert into sealcast.restrictions (user_id, kind) values (:guest, 'mute');
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '403 user_muted', 'a mute in all streams applies in each stream');
insert into sealcast.restrictions (user_id, stream_id, kind, until) values (:guest, :cave, 'ban', clock_timestamp());
select is(pg_temp.admit(:cave, 'chat', :guest, '{}'), '403 user_muted', 'an expired ban does not hide a mute that has not ended');
delete from sealcast.restrictions;
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L, null, repeat(''x'', 500), repeat(''y'', 500))', :room, :guest)), 'ok',
          'a reason and a note may each have 500 characters');

-- A new mute replaces the mutes of the same user in the same stream only.
select sealcast.mute(s, u) from unnest(array[:room, :cave]::uuid[]) s, unnest(array[:guest, :vip]::uuid[]) u \g /dev/null
select sealcast.mute(null, :guest), sealcast.mute(null, :guest) \g /dev/null
select results_eq('select user_id, stream_id, count(*) from sealcast.restrictions where lifted_at is null group by 1, 2 order by 1, 2',
  format($$values (%1$L::uuid, %3$L::uuid, 1::bigint), (%1$L, %4$L, 1), (%2$L, %3$L, 1), (%2$L, %4$L, 1), (%2$L, null, 1)$$, :vip, :guest, :room, :cave),
  'a new mute replaces no mute of another user, of another stream or of all streams, and a mute in all streams replaces the one before');
delete from sealcast.restrictions;

-- A mute that has ended is neither lifted nor in the way.
insert into sealcast.restrictions (user_id, stream_id, kind, until, issuer_rank)
values (:guest, :room, 'mute', clock_timestamp() - interval '1 s', 'moderator'), (:guest, :room, 'mute', clock_timestamp() - interval '1 s', 'admin');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unmute(%L, %L)', :room, :guest))), 'false',
          'unmute() returns false when every mute has ended, also one of a higher rank');
select is(count(*), 0::bigint, 'unmute() does not lift a mute that has ended') from sealcast.restrictions where lifted_at is not null;
select sealcast.mute(:room, :guest) \g /dev/null
select pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.mute(%L, %L)', :room, :guest)) \g /dev/null
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unmute(%L, %L)', :room, :guest))), 'true',
          'unmute() lifts the mute of a moderator while a mute of a higher rank stays in force');
delete from sealcast.restrictions;

-- Of several restrictions of one kind, the one that ends last counts.
insert into sealcast.restrictions (user_id, stream_id, kind, until)
select :guest, :room, 'mute', until from unnest('{2998-01-01Z,2999-01-01Z,2997-01-01Z}'::timestamptz[]) until;
create function pg_temp.mute_ends() returns text language sql as $$
  select coalesce(v.details, 'never') from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], '{chat}',
    array['b0000000-0000-4000-8000-000000000004'::uuid], array[gen_random_uuid()], '{"{}"}') v $$;
select is(pg_temp.mute_ends(), 'until 2999-01-01T00:00:00.000Z', 'of several mutes, the one that ends last counts');
insert into sealcast.restrictions (user_id, kind) values (:guest, 'mute');
select is(pg_temp.mute_ends(), 'never', 'of several mutes, one without an end counts');
delete from sealcast.restrictions;

-- restrictions_of() returns the rows of one stream.
insert into sealcast.restrictions (user_id, stream_id, kind, created_at, note)
select user_id, stream_id, 'mute', '2020-01-01Z'::timestamptz + n * interval '1 day', n
from (values (1, :guest::uuid, :room::uuid), (2, :vip, :room), (3, :guest, :room), (4, :guest, :cave), (5, :guest, null)) v (n, user_id, stream_id);
select is(array(select r.note from sealcast.restrictions_of(stream_id, user_id) r), notes, 'restrictions_of() returns ' || what)
from (values (:room::uuid, null::uuid, '{3,2,1}'::text[], 'those of one stream, the newest first'), (:room, :guest, '{3,1}', 'those of one user in one stream'),
             (null, null, '{5}', 'those in all streams for a null stream_id')) v (stream_id, user_id, notes, what);
delete from sealcast.restrictions;

-- Roles.
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''vip'')', :room, :guest)), 'ok', 'a moderator may grant the role vip');
select is(sealcast_internal.role_in(:room, :guest), 'vip', 'the guest has the granted role');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''moderator'')', :room, :guest)),
          'PT403 role_required', 'a moderator may not grant the role moderator');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.set_role(%L, %L, ''owner'')', :room, :moderator)),
          'PT403 role_required', 'a moderator may not grant themselves the role owner');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''moderator'')', :room, :guest)), 'ok', 'an owner may grant the role moderator');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.mute(%L, %L)', :room, :vip)), 'ok', 'a granted role has effect at once');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, null)', :room, :guest)), 'ok', 'an owner may remove a role');
select is(sealcast_internal.role_in(:room, :guest), null, 'a user whose role was removed has no role in the stream');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''No Role'')', :room, :guest)),
          'PT400 invalid_request', 'an invalid role name is refused');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, repeat(''r'', %s))', :room, :nowhere, length)), outcome,
          format('a role name of %s letters is %s', length, case outcome when 'ok' then 'valid' else 'refused' end))
from (values (32, 'ok'), (33, 'PT400 invalid_request')) v (length, outcome);
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(null, %L, ''vip'')', :guest)), 'PT400 invalid_request',
          'a role without a stream is refused');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_role(%L, %L, ''owner'')', :attic, :guest)), 'ok', 'an admin may grant every role');
select is(pg_temp.outcome('sealcast_user', '{"sub": "b0000000-0000-4000-8000-000000000001", "exp": 1}',
                          format('select sealcast.mute(%L, %L)', :room, :guest)), 'PT401 token_expired', 'an expired session may not moderate');
-- The same role again, the payee, and what users read about restrictions.
select sealcast.set_role(:room, :vip, 'owner') \g /dev/null
update sealcast.stream_roles set granted_at = '2020-01-01Z' where (stream_id, user_id) = (:room, :vip);
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''owner'')', :room, :vip)), 'ok', 'a role can be given again');
select is((select granted_at from sealcast.stream_roles where (stream_id, user_id) = (:room, :vip)), '2020-01-01Z'::timestamptz, 'granting the role that a user has changes nothing');
select is((select payee_id from sealcast.streams where stream_id = :room), :owner::uuid, 'the first owner stays the payee when a second one comes');
select is((select payee_id from sealcast.streams where stream_id = :attic), :guest::uuid, 'the first owner of a stream becomes its payee');
create temp table payees (who text, sub uuid, payee uuid, expected text, why text);
insert into payees values
  ('sealcast_user', :vip, :moderator, 'PT403 role_required', 'a co-owner does not change the payee'),
  ('sealcast_user', :owner, :vip, 'ok', 'the payee names the next payee'),
  ('sealcast_user', :owner, :moderator, 'PT403 role_required', 'a former payee does not change the payee'),
  ('sealcast_user', :vip, :vip, 'PT403 role_required', 'nobody makes themselves the payee'),
  ('sealcast_user', :vip, null, 'PT400 invalid_request', 'a payee must be a user'),
  ('sealcast_admin', null, :guest, 'ok', 'an admin sets the payee');
select is(pg_temp.outcome(who, sub::text, format('select sealcast.set_payee(%L, %L)', :room, payee)), expected, why) from payees;
select is((select payee_id from sealcast.streams where stream_id = :room), :guest::uuid, 'set_payee() by an admin changes the payee of the stream');
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.set_role(%L, %L, null)', :room, :owner)), 'ok', 'an owner removes another owner');
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.set_role(%L, %L, null)', :room, :vip)), 'PT403 role_required', 'the last owner cannot leave');
delete from sealcast.restrictions;
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.ban(%L, %L, null, ''rude'', ''alt of x'')', :room, :guest)), 'ok', 'a ban has a reason and a note');
select is((select result from pg_temp.try('sealcast_user', :guest, 'select (kind, stream_id, until, reason) from sealcast.restrictions')),
          format('(ban,%s,,rude)', :room), 'the user reads the reason');
select is(pg_temp.outcome('sealcast_user', :guest, format('select %s from sealcast.restrictions', hidden)), '42501', 'the user cannot read ' || hidden)
from unnest('{note,created_by,issuer_rank,lifted_by,*}'::text[]) hidden;
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select (r.kind, r.note, r.created_by, r.issuer_rank) from sealcast.restrictions_of(%L) r', :room))),
          format('(ban,"alt of x",%s,owner)', :vip), 'a moderator reads note, author and rank');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.restrictions_of(%L, %L)', :room, :guest)), 'PT403 role_required', 'the user cannot ask for note and author');
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.ban(%L, %L, null, null, repeat(''x'', 501))', :room, :guest)), 'PT400 invalid_request',
          'a note may have at most 500 characters');
select is(pg_temp.outcome('sealcast_user', :vip, 'set local transaction_read_only = on; ' || format('select sealcast.restrictions_of(%L)', :room)), 'ok', 'restrictions_of() works in a read-only transaction');
set local transaction_read_only = off;
create role tap_neither noinherit; grant sealcast_admin to tap_neither; grant usage on schema sealcast to tap_neither;
grant execute on function sealcast.mute(uuid, uuid, timestamptz, text, text, interval), sealcast_internal.restrict_user(text, uuid, uuid, timestamptz, text, text, interval) to tap_neither;
select is(pg_temp.outcome('tap_neither', null, format('select sealcast.mute(null, %L)', :guest)), 'PT403 role_required',
          'a member of sealcast_admin that does not inherit is no admin before SET ROLE');
select * from finish();
rollback;

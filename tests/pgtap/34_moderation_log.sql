-- Tests the moderation log: that every act is entered once, with who, whom, what, before and after; that no entry changes.
begin;
\ir scene.psql
select plan(80);
delete from sealcast.streams where stream_id = :attic;
-- The entries since the last call, the oldest first.
create temp table shown (entry_id uuid primary key);
create function pg_temp.entered() returns text language sql as $$
  with new as (insert into shown select l.entry_id from sealcast.moderation_log l where l.entry_id not in (select entry_id from shown) returning entry_id)
  select coalesce(string_agg(l.act, ' ' order by l.entry_id), 'nothing') from sealcast.moderation_log l join new using (entry_id) $$;
create function pg_temp.last(act text) returns sealcast.moderation_log language sql as $$
  select l from sealcast.moderation_log l where l.act = last.act order by entry_id desc limit 1 $$;
select is(pg_temp.entered(), 'delete_stream', 'the deletion of a stream by a superuser is one entry');
-- Runs a statement and returns what was entered.
create function pg_temp.enters(as_role text, sub text, statement text) returns text language plpgsql as $$
declare
  outcome constant text := pg_temp.outcome(as_role, sub, statement);
begin
  return case when outcome = 'ok' then pg_temp.entered() else outcome end;
end $$;

\set said '''c0000000-0000-4000-8000-000000000001'''
\set said_too '''c0000000-0000-4000-8000-000000000002'''
select pg_temp.admit(:room, 'chat', :vip, '{}', id) from unnest(array[:said, :said_too, 'c0000000-0000-4000-8000-000000000003']::uuid[]) id \g /dev/null

-- Every act by a function.
create temp table acts (n serial, who text, sub text, statement text, expected text, why text);
insert into acts (who, sub, statement, expected, why) values
  ('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, ''2999-01-01Z'', ''spam'', ''third time'')', :room, :guest), 'mute', 'a mute'),
  ('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :room, :guest), 'mute mute_replaced', 'a mute that replaces another one'),
  ('sealcast_user', :owner, format('select sealcast.unmute(%L, %L)', :room, :guest), 'unmute', 'an unmute'),
  ('sealcast_user', :owner, format('select sealcast.unmute(%L, %L)', :room, :guest), 'nothing', 'an unmute without a mute'),
  ('sealcast_user', :moderator, format('select sealcast.ban(%L, %L)', :room, :guest), 'ban', 'a ban'),
  ('sealcast_user', :owner, format('select sealcast.ban(%L, %L)', :room, :guest), 'ban ban_replaced', 'a ban that replaces another one'),
  ('sealcast_user', :moderator, format('select sealcast.unban(%L, %L)', :room, :guest), 'PT403 role_required', 'an unban that is refused'),
  ('sealcast_user', :owner, format('select sealcast.unban(%L, %L)', :room, :guest), 'unban', 'an unban'),
  ('sealcast_admin', null, format('select sealcast.ban(null, %L)', :guest), 'ban', 'a ban in all streams'),
  ('sealcast_admin', null, format('select sealcast.unban(null, %L)', :guest), 'unban', 'an unban in all streams'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''vip'')', :room, :guest), 'set_role', 'the first role of a user'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''vip'')', :room, :guest), 'nothing', 'the role that the user has'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''moderator'')', :room, :guest), 'set_role', 'another role'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, null)', :room, :guest), 'set_role', 'the removal of a role'),
  ('sealcast_user', :owner, format('select sealcast.set_payee(%L, %L)', :room, :vip), 'set_payee', 'a payee'),
  ('sealcast_user', :moderator, format('select sealcast.set_stream_rules(%L, ''{"slow_mode_s":5}'')', :room), 'set_stream_rules', 'rules of a stream'),
  ('sealcast_user', :moderator, format('select sealcast.set_stream_rules(%L, ''{"slow_mode_s":5}'')', :room), 'nothing', 'rules that are in force already'),
  ('sealcast_user', :moderator, format('select sealcast.add_blocked_term(%L, ''darn'')', :room), 'add_blocked_term', 'a blocked term'),
  ('sealcast_user', :moderator, format('select sealcast.add_blocked_term(%L, ''darn'')', :room), 'nothing', 'a term that is blocked already'),
  ('sealcast_user', :owner, format('select sealcast.add_blocked_term(%L, ''darn'', action => ''mask'')', :room), 'change_blocked_term', 'another action of a term'),
  ('sealcast_user', :owner, format('select sealcast.remove_blocked_term((select term_id from sealcast.blocked_terms_of(%L)))', :room), 'remove_blocked_term', 'a removed term'),
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, %L::uuid, %L)', :room, :said, :vip), 'redact_message', 'a redacted message'),
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, %L::uuid, %L)', :room, :said, :vip), 'nothing', 'a message that is redacted already'),
  ('sealcast_user', :vip, format('select sealcast.redact_message(%L, %L::uuid)', :room, :said_too), 'nothing', 'an own message'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L)', :room, :vip), 'redact_messages', 'a purge'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L)', :room, :vip), 'nothing', 'a purge of nothing'),
  ('none', null, format('select sealcast_internal.call_as(%L, ''mute'', %L)', :owner, json_build_object('stream_id', :room, 'user_id', :guest)), 'mute', 'a mute over HTTP'),
  -- Acts on the tables.
  ('sealcast_admin', null, format('insert into sealcast.restrictions (stream_id, user_id, kind, note) values (%L, %L, ''ban'', ''x'') returning 1', :room, :vip), 'ban', 'a ban by INSERT'),
  ('sealcast_admin', null, format('update sealcast.restrictions set until = ''2999-01-01Z'' where user_id = %L returning 1', :vip), 'ban_changed', 'a changed ban'),
  ('sealcast_admin', null, format('update sealcast.restrictions set until = until where user_id = %L returning 1', :vip), 'nothing', 'an UPDATE that changes nothing'),
  ('sealcast_admin', null, format('delete from sealcast.restrictions where user_id = %L returning 1', :vip), 'ban_deleted', 'a deleted ban'),
  ('sealcast_admin', null, format('with i as (insert into sealcast.stream_roles (stream_id, user_id, role) select %L, gen_random_uuid(), ''vip'' from generate_series(1, 3) returning 1) select count(*) from i', :room),
   'set_role set_role set_role', 'three roles by INSERT'),
  ('sealcast_admin', null, format('update sealcast.stream_roles set granted_at = now() where (stream_id, user_id) = (%L, %L) returning 1', :room, :vip), 'nothing', 'another granted_at'),
  ('sealcast_admin', null, format('update sealcast.stream_roles set stream_id = %L where (stream_id, user_id) = (%L, %L) returning 1', :cave, :room, :moderator), 'set_role set_role', 'a role that moves to another stream'),
  ('sealcast_admin', null, format('update sealcast.stream_roles set stream_id = %L where (stream_id, user_id) = (%L, %L) returning 1', :room, :cave, :moderator), 'set_role set_role', 'a role that moves back'),
  ('sealcast_admin', null, format('delete from sealcast.stream_roles where (stream_id, user_id) = (%L, %L) returning 1', :room, :vip), 'set_role', 'a role removed by DELETE'),
  ('sealcast_admin', null, format('update sealcast.streams set closed_at = ''2020-01-01Z'', visibility = ''private'' where stream_id = %L returning 1', :room), 'close_stream set_visibility', 'a closed stream that becomes private'),
  ('sealcast_admin', null, format('update sealcast.streams set closed_at = null where stream_id = %L returning 1', :room), 'reopen_stream', 'a stream that is opened again'),
  ('sealcast_admin', null, format('update sealcast.streams set title = ''x'', delivery_mode = ''hot'', metadata = ''{"a": 1}'' where stream_id = %L returning 1', :room), 'nothing', 'changes of a stream that are no moderation'),
  -- A superuser.
  ('none', null, format('update sealcast.streams set visibility = ''public'' where stream_id = %L returning 1', :room), 'set_visibility', 'an UPDATE of a superuser'),
  ('none', null, format('insert into sealcast.restrictions (stream_id, user_id, kind) values (%L, %L, ''mute''), (null, %2$L, ''mute'') returning 1', :cave, :vip), 'nothing', 'rows that a superuser inserts, as a restore does');
select is(pg_temp.enters(who, sub, statement), expected, 'entered: ' || why) from acts order by n;

-- What an entry has.
select is((select (act, stream_id, user_id, actor_id, actor_rank, reason) from pg_temp.last('unban') l where stream_id is null),
          ('unban'::text, null::uuid, :guest::uuid, null::uuid, 'admin'::sealcast.user_rank, null::text), 'an act of sealcast_admin in all streams has no stream and no actor, but a rank');
create temp view first_mute as select l.* from sealcast.moderation_log l where act = 'mute' and reason = 'spam';
select is((select (stream_id, user_id, actor_id, actor_rank, reason, before) from first_mute), (:room::uuid, :guest::uuid, :moderator::uuid, 'moderator'::sealcast.user_rank, 'spam'::text, null::jsonb),
          'the entry of a mute has the stream, the user, the moderator with the rank, and the reason');
select is((select (after ->> 'until', after ->> 'note', after ->> 'issuer_rank') from first_mute), ('2999-01-01T00:00:00+00:00'::text, 'third time'::text, 'moderator'::text),
          'the entry of a mute has its end, its note and its rank');
select is((select after ->> 'restriction_id' from first_mute), (pg_temp.last('mute_replaced')).before ->> 'restriction_id', 'the entry of a replaced mute names the mute');
select is((pg_temp.last('mute_replaced')).before ->> 'lifted_at', null, 'the entry of a replaced mute has the state before');
select isnt((pg_temp.last('mute_replaced')).after ->> 'lifted_at', null, 'the entry of a replaced mute has the state after');
select is((select string_agg(concat(before ->> 'role', '>', after ->> 'role'), ' ' order by entry_id) from sealcast.moderation_log where act = 'set_role' and user_id = :guest),
          '>vip vip>moderator moderator>', 'entries of roles have the role before and after');
select is((select (before, after) from pg_temp.last('set_payee')), ('{"payee_id": null}'::jsonb, jsonb_build_object('payee_id', :vip)), 'the entry of a payee has both payees');
select is((select concat_ws('>', before ->> 'slow_mode_s', after ->> 'slow_mode_s', actor_rank) from pg_temp.last('set_stream_rules')), '5>moderator', 'the entry of rules has the rules');
select is((select (before, after) from pg_temp.last('close_stream')), ('{"closed_at": null}'::jsonb, '{"closed_at": "2020-01-01T00:00:00+00:00"}'::jsonb), 'the entry of a closed stream has the time');
select is(count(*), 0::bigint, 'each entry has the login role') from sealcast.moderation_log where login <> session_user;
select is(array(select logged_at from sealcast.moderation_log order by entry_id), array(select logged_at from sealcast.moderation_log order by logged_at), 'the order of entry_id is the order of time');
select is(count(*), 0::bigint, 'entry_id is a UUID of version 7 and of the variant of RFC 9562') from sealcast.moderation_log where entry_id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]';
select is(to_timestamp(('x' || left(replace(entry_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0), date_trunc('milliseconds', logged_at), 'entry_id has the time in milliseconds') from first_mute;
select is(sealcast_internal.ordered_id('2026-01-01 00:00:00.123456Z')::text ~ '^019b76da-a87b-774b', true, 'an ordered id has milliseconds and then the fraction');

-- An act and its entry are one transaction; a refused act leaves none.
savepoint s;
select sealcast.mute(:room, :vip) \g /dev/null
rollback to s;
select is(pg_temp.entered(), 'nothing', 'an act that is rolled back leaves no entry');

-- A deleted stream: one entry, whatever goes with it.
select sealcast.mute(:cave, :guest) \g /dev/null
select pg_temp.entered() \g /dev/null
select is(pg_temp.enters('sealcast_admin', null, format('delete from sealcast.streams where stream_id = %L returning 1', :cave)), 'delete_stream', 'entered: a deleted stream, without its roles and restrictions');
select is((pg_temp.last('delete_stream')).before ->> 'title', 'cave', 'the entry of a deleted stream has its title');

-- Reading.
select is(array(select l.entry_id from sealcast.moderation_log_of(:room) l), array(select entry_id from sealcast.moderation_log where stream_id = :room order by entry_id desc limit 50),
          'moderation_log_of() returns the entries of a stream, the newest first');
select is((select array_agg(entry_id) from (
             select entry_id from sealcast.moderation_log_of(:room, "limit" => 3)
             union all
             select l.entry_id from sealcast.moderation_log_of(:room, before => (select min(m.entry_id::text)::uuid from sealcast.moderation_log_of(:room, "limit" => 3) m), "limit" => 2) l) pages),
          (select array_agg(l.entry_id) from sealcast.moderation_log_of(:room, "limit" => 5) l), 'before continues with older entries');
select is(count(*), (select count(*) from sealcast.moderation_log where (stream_id, user_id) = (:room, :guest)), 'user_id selects the entries about a user')
from sealcast.moderation_log_of(:room, :guest, "limit" => 500);
select is(count(*), 2::bigint, 'stream_id null selects the acts in all streams') from sealcast.moderation_log_of(null);
select is((pg_temp.try('sealcast_user', :moderator, format('select count(login) || ''/'' || (count(*) > 9) from sealcast.moderation_log_of(%L)', :room))).result, '0/true', 'a moderator does not see the login roles');
select is((pg_temp.try('sealcast_admin', null, format('select count(*) = count(login) from sealcast.moderation_log_of(%L)', :room))).result, 'true', 'sealcast_admin sees the login roles');
select is((pg_temp.try('sealcast_user', :moderator, 'select count(*) from sealcast.moderation_log')).result, (select count(*)::text from sealcast.moderation_log where stream_id = :room),
          'a moderator reads the entries of the moderated stream from the table');
select is((pg_temp.try('sealcast_user', :guest, 'select count(*) from sealcast.moderation_log')).result, '0', 'a user reads no entry, also none about themselves');

-- Append-only, for the owner too.
select throws_ok(statement, '55000', 'sealcast.moderation_log is append-only', 'refused: ' || statement)
from unnest('{update sealcast.moderation_log set reason = null,delete from sealcast.moderation_log,truncate sealcast.moderation_log}'::text[]) statement;
select is(pg_temp.outcome('sealcast_admin', null, statement || ' returning 1'), '42501', 'refused to sealcast_admin: ' || statement)
from unnest(array['delete from sealcast.moderation_log', 'update sealcast.moderation_log set reason = null',
                  'insert into sealcast.moderation_log (entry_id, logged_at, act, actor_rank) values (gen_random_uuid(), now(), ''mute'', ''admin'')']) statement;
select is((pg_temp.try('sealcast_user', :owner, format('select sealcast_internal.log_act(''mute'', %L, %L)', :room, :guest))).state, '42501', 'a user may not make entries');

-- Retention.
insert into sealcast.moderation_log (entry_id, logged_at, act, stream_id, actor_rank)
select sealcast_internal.ordered_id(at), at, 'mute', :room, 'owner' from unnest(array[now() - interval '364 days', now() - interval '366 days']) at;
select results_eq($$select action, object from pg_temp.maintain()$$, $$values ('trimmed', '1 rows of sealcast.moderation_log')$$, 'maintain() deletes the entries of more than a year ago');
select is((select min(logged_at) from sealcast.moderation_log), now() - interval '364 days', 'a younger entry stays');
update sealcast.retention set keep_moderation_log = '10 years';
select is((select count(*) from pg_temp.maintain() where object like '%moderation_log'), 0::bigint, 'a longer keep_moderation_log keeps entries longer');
select throws_ok('update sealcast.retention set keep_moderation_log = ''1 hour''', '23514', null, 'keep_moderation_log below 1 day is refused');

set local session_replication_role = replica;
select is((pg_temp.try('sealcast_admin', null, format('select sealcast.mute(%L, %L)', :room, :guest))).state, '55000', 'without triggers, an act is refused, because it would not be entered');
select * from finish();
rollback;

-- Tests held messages: what is held, what a repeat gets, approving, denying, expiry, and the bounds of the queue.
begin;
\ir scene.psql
select plan(87);
\set txn '''c0000000-0000-4000-8000-000000000001'''
\set other '''b0000000-0000-4000-8000-000000000009'''

create function pg_temp.as_user(sub text, statement text) returns text language sql as $$
  select coalesce(result, state || ' ' || detail) from pg_temp.try('sealcast_user', sub, statement) $$;
-- The held_id of a txn_id.
create function pg_temp.held(txn uuid) returns uuid language sql as $$ select held_id from sealcast.held_messages where txn_id = txn $$;
create function pg_temp.approve(sub text, txn uuid) returns text language sql as $$
  select pg_temp.as_user(sub, format('select json_typeof(sealcast.approve_message(%L))', pg_temp.held(txn))) $$;
create function pg_temp.deny(sub text, txn uuid, reason text default null) returns text language sql as $$
  select pg_temp.as_user(sub, format('select sealcast.deny_message(%L, %L)', pg_temp.held(txn), reason)) $$;
create function pg_temp.hold(sender uuid, n int, d text default '{"content":"a maybe word"}') returns text language sql as $$
  select pg_temp.admit('a0000000-0000-4000-8000-000000000001', 'chat', sender, d, format('c0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid) $$;
create function pg_temp.txn(n int) returns uuid language sql as $$ select format('c0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid $$;
create function pg_temp.stored() returns text language sql as $$
  select (select count(*) from sealcast.messages) || ' ' || (select count(*) from sealcast_internal.outbox) $$;

-- A term with the action hold.
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.add_blocked_term(%L, ''maybe'', action => ''hold'')', :room)), 'ok', 'a term may hold');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.add_blocked_term(%L, ''never'', action => ''refuse'')', :room)), 'ok', 'another term refuses');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.add_blocked_term(%L, ''darn'', action => ''mask'')', :room)), 'ok', 'another term masks');
select is(pg_temp.hold(:guest, 1, '{"content":"maybe darn"}'), '202 held', 'a message with the term is held');
select is(pg_temp.stored(), '0 0', 'a held message is neither in messages nor in the outbox');
select is((select (stream_id, sender_id, t, d, held_by, detail, outcome) from sealcast.held_messages),
          (:room::uuid, :guest::uuid, 'chat'::text, '{"content":"maybe ****"}'::text, 'term'::text, 'maybe'::text, null::text), 'the queue has the message with its masked terms, and the term');
select is((select expires_at - held_at from sealcast.held_messages), interval '3 days', 'it waits for keep_held');
select is((select message from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], '{"{\"content\":\"maybe darn\"}"}')), 'this message waits for a moderator', 'the verdict says so');
select is(pg_temp.hold(:guest, 1, '{"content":"maybe darn"}'), '202 held', 'a repeat is held');
select is((select count(*) from sealcast.held_messages), 1::bigint, 'a repeat is not held twice');
select is(pg_temp.hold(:guest, 1, '{"content":"clean"}'), '409 txn_id_reused', 'other content under the same txn_id is refused');
select is(pg_temp.hold(:guest, 2, '{"content":"never maybe"}'), '422 content_refused', 'a term that refuses takes precedence');
select is(pg_temp.hold(:moderator, 3), '200', 'a moderator is exempt from the terms of the stream');
select is((select array_agg(status order by item) from sealcast.admit(array_fill(:room::uuid, array[4]), '{chat,chat,chat,chat}', array_fill(:other::uuid, array[4]),
             array[pg_temp.txn(4), pg_temp.txn(5), pg_temp.txn(5), pg_temp.txn(6)], array['{"n":1}', '{"c":"maybe"}', '{"c":"maybe"}', '{"c":"never"}'])),
          array[200, 202, 202, 422], 'in a batch, only the messages with the term are held');

-- send_message() returns an object instead of an envelope.
set local request.method = 'POST'; set local request.path = '/rpc/send_message';
select is(pg_temp.as_user(:guest, format('select sealcast.send_message(%L, ''chat'', ''{"content":"maybe"}'', %L)', :room, pg_temp.txn(7))),
          '{"held":true,"code":"held","message":"this message waits for a moderator","txn_id":"c0000000-0000-4000-8000-000000000007","replayed":false}', 'send_message() says that the message is held');
select is(current_setting('response.status'), '202', 'PostgREST answers 202');
select is(pg_temp.as_user(:guest, format('select sealcast.send_message(%L, ''chat'', ''{"content":"maybe"}'', %L)::jsonb -> ''replayed''', :room, pg_temp.txn(7))), 'true', 'a repeat says that it is one');
set local request.method = ''; set local request.path = '';

-- The queue.
select is(pg_temp.as_user(:owner, format('select string_agg(right(txn_id::text, 1), '' '') from sealcast.held_messages_of(%L)', :room)), '1 5 7', 'the queue begins with the oldest message');
select is(pg_temp.as_user(:owner, format('select string_agg(right(txn_id::text, 1), '' '') from sealcast.held_messages_of(%L, 1, %L)', :room, pg_temp.held(pg_temp.txn(1)))), '5', 'a page continues behind a message');
select is(pg_temp.as_user(:guest, format('select count(*) from sealcast.held_messages_of(%L)', :room)), 'PT403 role_required: owner or moderator', 'a user does not read the queue');
select is(pg_temp.as_user(:owner, format('select count(*) from sealcast.held_messages_of(%L, 501)', :room)), 'PT400 invalid_request: limit must be from 1 to 500', 'a limit above 500 is refused');
select is(pg_temp.outcome('sealcast_user', :owner, 'select count(*) from sealcast.held_messages'), '42501', 'nobody but an administrator reads the table');

-- Approving.
select is(pg_temp.approve(:guest, :txn), 'PT403 role_required: owner or moderator', 'a user does not approve');
select is(pg_temp.approve(:moderator, 'c0000000-0000-4000-8000-0000000000ff'), 'PT404 message_not_found', 'a held_id must exist');
select sealcast.mute(:room, :guest) \g /dev/null
select is(pg_temp.approve(:moderator, :txn), 'PT409 not_admissible: user_muted: you are muted in this stream', 'a message of a muted sender is not approved');
select is((select count(*) from sealcast.txn_keys where txn_id = :txn), 1::bigint, 'its key stays');
select sealcast.unmute(:room, :guest) \g /dev/null
update sealcast.streams set closed_at = now() where stream_id = :room;
select is(pg_temp.approve(:moderator, :txn), 'PT409 not_admissible: stream_closed: this stream is closed', 'a message to a closed stream is not approved');
update sealcast.streams set closed_at = null where stream_id = :room;
select is(pg_temp.stored(), '2 2', 'nothing was stored');
insert into sealcast.stream_roles (stream_id, user_id, role) values (:room, :guest, 'vip');
create temp table before as select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ts;
select is(pg_temp.approve(:moderator, :txn), 'object', 'a moderator approves');
select is(pg_temp.stored(), '3 3', 'the message is in messages and in the outbox');
select is(sealcast.verify_detail(sealcast.envelope(m)::json) || ' ' || (m.ts >= b.ts) || ' ' || (m.d = '{"content":"maybe ****","user_role":"vip"}'), 'ok true true',
          'it is sealed now, with the role that its sender has now') from sealcast.messages m, before b where txn_id = :txn;
select is((select (k.ts, k.message_id) from sealcast.txn_keys k where txn_id = :txn), (select (m.ts, m.message_id) from sealcast.messages m where txn_id = :txn), 'its key names the message');
select is((select (outcome, d, decided_by) from sealcast.held_messages where txn_id = :txn), ('approved'::text, null::text, :moderator::uuid), 'the row keeps who decided, and no content');
select is(pg_temp.hold(:guest, 1, '{"content":"maybe darn"}'), '200 replayed', 'a repeat gets the envelope');
select is(pg_temp.hold(:guest, 1, '{"content":"maybe ****"}'), '409 txn_id_reused', 'a repeat is compared with the content as it was sent');
select is(pg_temp.approve(:owner, :txn), 'object', 'approving again returns the envelope');
select is(pg_temp.stored(), '3 3', 'approving again stores nothing');
select is(pg_temp.deny(:owner, :txn), 'PT409 already_decided', 'an approved message is not denied');
select is((select (act, user_id, actor_id, after ->> 'held_by') from sealcast.moderation_log where act = 'approve_message'), ('approve_message'::text, :guest::uuid, :moderator::uuid, 'term'::text), 'the log has the approval');

-- Denying.
select is(pg_temp.deny(:moderator, pg_temp.txn(7), repeat('x', 501)), 'PT400 invalid_request', 'a long reason is refused');
select is(pg_temp.deny(:moderator, pg_temp.txn(7), 'off topic'), 'true', 'a moderator denies');
select is(pg_temp.deny(:moderator, pg_temp.txn(7)), 'false', 'denying again changes nothing');
select is(pg_temp.approve(:moderator, pg_temp.txn(7)), 'PT409 already_decided', 'a denied message is not approved');
select is(pg_temp.hold(:guest, 7, '{"content":"maybe"}'), '403 held_denied', 'a repeat learns the outcome');
select is(pg_temp.as_user(:guest, format('select sealcast.send_message(%L, ''chat'', ''{"content":"maybe"}'', %L)', :room, pg_temp.txn(7))), 'PT403 held_denied: off topic', 'a repeat learns the reason');
select is((select (d, reason) from sealcast.held_messages where txn_id = pg_temp.txn(7)), (null::text, 'off topic'::text), 'the content is erased');
select is((select (user_id, reason) from sealcast.moderation_log where act = 'deny_message'), (:guest::uuid, 'off topic'::text), 'the log has the denial');

-- Nobody decides about their own message; only owners decide about messages of moderators.
select sealcast.add_blocked_term(null, 'perhaps', action => 'hold') \g /dev/null
select is(pg_temp.hold(:moderator, 10, '{"content":"perhaps"}'), '202 held', 'a term of all streams holds the messages of moderators');
select is(pg_temp.approve(:moderator, pg_temp.txn(10)), 'PT403 role_required: owner', 'a moderator does not approve a message of a moderator');
select is(pg_temp.approve(:owner, pg_temp.txn(10)), 'object', 'an owner does');

-- A hook that holds, with the rights of its owner. Its changes are undone.
create role tap_coder;
grant usage on schema sealcast to tap_coder;
create schema tap_held authorization tap_coder;
set local role tap_coder;
create table tap_held.asked (who name, d text);
create function tap_held.judge(uuid, uuid, text, uuid, json) returns sealcast.refusal language plpgsql as $$
begin
  insert into tap_held.asked values (current_user, $5::text);
  if $5 ->> 'say' = 'no' then return (422, 'not_here', 'no', null)::sealcast.refusal; end if;
  if $5 ->> 'say' = 'wait' then return (202, 'held', 'someone must look', null)::sealcast.refusal; end if;
  return null;
end $$;
reset role;
insert into sealcast.message_types (t, admit_hook) values ('asked', 'tap_held.judge(uuid,uuid,text,uuid,json)');
create function pg_temp.ask(n int, d text) returns text language sql as $$
  select pg_temp.admit('a0000000-0000-4000-8000-000000000001', 'asked', 'b0000000-0000-4000-8000-000000000004', d, pg_temp.txn(n)) $$;
select is(pg_temp.ask(30, '{"say":"wait"}'), '202 held', 'a hook may hold');
select is((select held_by || ': ' || detail from sealcast.held_messages where txn_id = pg_temp.txn(30)), 'hook: someone must look', 'the queue has the message of the hook');
select is((select count(*) from tap_held.asked), 0::bigint, 'what the hook has written is undone');
select is(pg_temp.approve(:moderator, pg_temp.txn(30)), 'object', 'the message is approved');
select is((select count(*) from tap_held.asked), 0::bigint, 'the hook that has held it is not asked again');
select is(pg_temp.ask(31, '{"say":"maybe"}'), '202 held', 'a term holds a message whose type has a hook');
select is((select count(*) from tap_held.asked), 0::bigint, 'the hook is not asked while the message waits');
select is(pg_temp.approve(:moderator, pg_temp.txn(31)), 'object', 'the message is approved, too');
select is((select (who, d) from tap_held.asked), ('tap_coder'::name, '{"say":"maybe","user_role":"vip"}'::text), 'the hook is asked when the message is approved, with the rights of its owner');
select is(pg_temp.ask(32, '{"say":"no","c":"maybe"}'), '202 held', 'a message that the hook would refuse is held');
select is(pg_temp.approve(:moderator, pg_temp.txn(32)), 'PT409 not_admissible: not_here: no', 'it is not approved');
select is(pg_temp.deny(:moderator, pg_temp.txn(32)), 'true', 'it can be denied');

-- The rule hold_first.
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, ''{"hold_first":true}'')', :room)), 'ok', 'a stream may hold the first messages of users');
\set newcomer '''b0000000-0000-4000-8000-00000000000a'''
select is(pg_temp.hold(:guest, 40, '{"n":1}'), '200', 'a user with a message in the stream is known');
select is(pg_temp.hold(:newcomer, 41, '{"n":1}'), '202 held', 'the first message of a user is held');
select is(pg_temp.hold(:newcomer, 42, '{"n":2}'), '202 held', 'so is the second one, until one is approved');
select is((select held_by || ': ' || detail from sealcast.held_messages where txn_id = pg_temp.txn(41)), 'rule: hold_first', 'the queue has the rule');
select is(pg_temp.approve(:moderator, pg_temp.txn(41)), 'object', 'the first message is approved');
select is(pg_temp.hold(:newcomer, 43, '{"n":3}'), '200', 'then the user is known');
select is(pg_temp.hold('b0000000-0000-4000-8000-00000000000b', 44, '{"c":"never"}'), '422 content_refused', 'a term that refuses takes precedence');
select is(pg_temp.hold(:owner, 45, '{"n":1}'), '200', 'an owner is exempt');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, ''{"hold_first":false}'')', :room)), 'ok', 'the rule ends');

-- Expiry.
select pg_temp.hold(:guest, 11), pg_temp.hold(:guest, 12) \g /dev/null
update sealcast.held_messages set expires_at = now() where txn_id in (pg_temp.txn(11), pg_temp.txn(12));
select is(pg_temp.hold(:guest, 11), '403 held_expired', 'a repeat of an expired message is refused');
select is(pg_temp.approve(:moderator, pg_temp.txn(11)), 'PT409 already_decided', 'an expired message is not approved');
select is((select string_agg(object, ' ') from pg_temp.maintain()), '2 held messages', 'maintain() ends the waiting');
select is((select count(*) from sealcast.held_messages where outcome = 'expired' and d is null), 2::bigint, 'the content of expired messages is erased');
update sealcast.held_messages set held_at = now() - interval '14 days 1 hour' where txn_id = pg_temp.txn(11);
select is((select string_agg(object, ' ') from pg_temp.maintain()), '1 rows of sealcast.held_messages', 'maintain() deletes old decided rows');
-- A key that was trimmed can be used again.
delete from sealcast.txn_keys where txn_id = pg_temp.txn(12);
select is(pg_temp.hold(:guest, 12, '{"content":"again maybe"}'), '202 held', 'a txn_id whose key was trimmed can be held again');

-- A purge denies what waits.
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.ban(%L, %L, purge => ''1 hour'')', :room, :guest)), 'ok', 'an owner bans with purge');
select is((select outcome from sealcast.held_messages where txn_id = pg_temp.txn(12)), 'denied', 'a ban with purge denies the messages that wait');

-- The bounds.
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
select gen_random_uuid(), :room, :other, gen_random_uuid(), 'chat', '{}', '', 'rule', now(), now() + interval '1 hour' from generate_series(1, 19);
select is(pg_temp.hold(:other, 20), '429 too_many_held', 'a user may have 20 messages that wait in a stream');
select is((select count(*) from sealcast.txn_keys where txn_id = pg_temp.txn(20)), 0::bigint, 'its key stays free');
update sealcast.held_messages set expires_at = now() where sender_id = :other;
select is(pg_temp.hold(:other, 20), '202 held', 'expired messages do not count');
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
select gen_random_uuid(), :room, gen_random_uuid(), gen_random_uuid(), 'chat', '{}', '', 'rule', now(), now() + interval '1 hour' from generate_series(1, 999);
select is(pg_temp.hold(:vip, 21), '503 held_queue_full', 'a stream has 1000 messages that wait');
delete from sealcast.held_messages where t = 'chat' and sender_id not in (:other, :guest, :moderator);
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
values (gen_random_uuid(), :room, gen_random_uuid(), gen_random_uuid(), 'chat', repeat('x', 16777200), '', 'rule', now(), now() + interval '1 hour');
select is(pg_temp.hold(:vip, 21), '503 held_queue_full', 'the messages that wait in a stream have 16 MiB together');

-- A deleted stream takes its held messages with it, and the keys that no message has.
delete from sealcast.streams where stream_id = :room;
select is((select count(*) from sealcast.held_messages), 0::bigint, 'a deleted stream takes its held messages with it');
select is((select count(*) from sealcast.txn_keys where txn_id in (pg_temp.txn(7), pg_temp.txn(20))) || ' ' || (select count(*) from sealcast.txn_keys where txn_id = :txn), '0 1', 'it takes their keys, not those of sealed messages');
select * from finish();
rollback;

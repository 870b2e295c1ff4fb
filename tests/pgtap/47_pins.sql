-- Tests pins: who pins which message, what readers are told, and that a redaction unpins.
begin;
\ir scene.psql
select no_plan();
delete from sealcast_internal.outbox;
update sealcast_internal.relay_leases set holder = 'tap', epoch = 1, lease_until = now() + interval '1 h';

-- Gives the messages of this transaction their offsets, as in 46_redaction.sql. Returns the highest offset of the room.
create function pg_temp.drain() returns bigint language plpgsql as $$
begin
  update sealcast_internal.outbox set xid = '3' where xid = pg_current_xact_id();
  update sealcast_internal.relay_log r set seen = '3:3:', seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0;
  perform sealcast_internal.drain('tap', '{0,1,2,3}', '{1,1,1,1}', 100000);
  delete from sealcast_internal.outbox;
  return sealcast_internal.last_offset('a0000000-0000-4000-8000-000000000001');
end $$;
-- The number of messages that announce pins, and the d of the newest.
create function pg_temp.told() returns bigint language sql as $$ select count(*) from sealcast.messages where t = 'pinned' $$;
create function pg_temp.pinned() returns jsonb language sql as $$ select d::jsonb from sealcast.messages where t = 'pinned' order by message_id desc limit 1 $$;
-- What a late joiner is told: the pinned offset.
create function pg_temp.retained() returns jsonb language sql as
  $$ select (envelope -> 'd' -> 'offset')::jsonb from sealcast.stream_state('a0000000-0000-4000-8000-000000000001') where envelope ->> 't' = 'pinned' $$;

select gen_random_uuid() as one, gen_random_uuid() as two \gset
select pg_temp.admit(:room, 'chat', :guest, '{"content":"one"}', :'one'), pg_temp.admit(:room, 'chat', :vip, '{"content":"two"}', :'two') \g /dev/null
select is(pg_temp.drain(), 2::bigint, 'two messages are relayed');

-- Pinning
select is(result::json ->> 't', 'pinned', 'pin_message() returns the envelope of the message pinned') from pg_temp.try('sealcast_user', :moderator, format('select sealcast.pin_message(%L, 1, ''read this'')', :room));
select is(pg_temp.pinned(), jsonb_build_object('offset', 1, 'txn_id', :'one', 'sender_id', :guest, 'by', :moderator, 'note', 'read this'), 'it names the message, the moderator and the note');
select is((select row(p."offset", p.pinned_by, p.note)::text from sealcast.pins p), format('(1,%s,"read this")', :moderator), 'the pin is stored');
select is(pg_temp.told(), 1::bigint, 'one message tells of it');
select is(pg_temp.retained(), null, 'a late joiner is not told before the message is relayed');
select is(pg_temp.drain(), 3::bigint, 'the message gets its offset');
select is(pg_temp.retained(), '1', 'a late joiner is told');
select is(result, null, 'the same pin changes nothing') from pg_temp.try('sealcast_user', :owner, format('select sealcast.pin_message(%L, 1, ''read this'')', :room));
select is(pg_temp.told(), 1::bigint, 'and sends nothing');
select is(result::json #>> '{d,offset}', '2', 'another message takes the place, over call_as() too')
from pg_temp.try('none', null, format('select sealcast_internal.call_as(%L, ''pin_message'', %L)', :owner, json_build_object('stream_id', :room, 'offset', 2)));
select is((select array_agg("offset") from sealcast.pins), '{2}', 'a stream has one pin');
select is((select count(*) from pg_temp.try('sealcast_user', :guest, 'select "offset" from sealcast.pins') where result = '2'), 1::bigint, 'a reader of the stream may read it');

-- Refusals
select is(pg_temp.outcome(who, sub, format('select sealcast.pin_message(%s)', args)), expected, why || ' is refused') from (values
  ('sealcast_user', :guest, format('%L, 1', :room), 'PT403 role_required', 'a guest'),
  ('sealcast_user', :vip, format('%L, 1', :room), 'PT403 role_required', 'a vip'),
  ('sealcast_user', :moderator, format('%L, 99', :room), 'PT404 message_not_found', 'an offset that was not given'),
  ('sealcast_user', :moderator, format('%L, 1', :cave), 'PT403 role_required', 'another stream'),
  ('sealcast_user', :owner, format('%L, 1', :cave), 'PT404 message_not_found', 'a message of another stream'),
  ('sealcast_user', :moderator, 'null, 1', 'PT400 invalid_request', 'a null stream'),
  ('sealcast_user', :moderator, format('%L, null', :room), 'PT400 invalid_request', 'a null offset'),
  ('sealcast_user', :moderator, format('%L, 1, repeat(''x'', 501)', :room), 'PT400 invalid_request', 'a long note'),
  ('sealcast_service', null, format('%L, 1', :room), '42501', 'the service')) v (who, sub, args, expected, why);
select is(pg_temp.admit(:room, 'pinned', :owner, '{}'), '403 role_required', 'only the system may send the type');

-- Unpinning
select is(result::json -> 'd' ->> 'by', :moderator, 'unpin_message() returns the envelope') from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unpin_message(%L)', :room));
select is(pg_temp.pinned() - 'by', '{"offset":null,"txn_id":null,"sender_id":null,"note":null}', 'its offset is null');
select is((select count(*) from sealcast.pins), 0::bigint, 'no message is pinned');
select is(pg_temp.drain() > 3, true, 'the messages are relayed');
select is(pg_temp.retained(), 'null', 'a late joiner is told that no message is pinned');
select pg_temp.told() as before \gset
select is(result, null, 'a second unpin changes nothing') from pg_temp.try('sealcast_user', :moderator, format('select sealcast.unpin_message(%L)', :room));
select is(pg_temp.told(), :before::bigint, 'and sends nothing');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.unpin_message(%L)', :room)), 'PT403 role_required', 'a guest may not unpin');
select is(array(select act || ' ' || coalesce(reason, '-') from sealcast.moderation_log where act like '%pin%' order by entry_id), '{pin_message read this,pin_message -,unpin_message -}', 'the moderation log has each act');
select is((select row(before ->> 'offset', after ->> 'offset', user_id) from sealcast.moderation_log where act = 'pin_message' order by entry_id desc limit 1),
          row('1'::text, '2'::text, :vip::uuid), 'with what was pinned before, and whose message it is');

-- Redaction
select pg_temp.try('sealcast_user', :moderator, format('select sealcast.pin_message(%L, 1)', :room)) \g /dev/null
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.redact_message(%L, 2::bigint)', :room)), 'ok', 'another message is redacted');
select is((select array_agg("offset") from sealcast.pins), '{1}', 'the pin stays');
select pg_temp.told() as before \gset
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.redact_message(%L, 1::bigint)', :room)), 'ok', 'the pinned message is redacted');
select is((select count(*) from sealcast.pins), 0::bigint, 'a redacted message is unpinned');
select is((pg_temp.told() - :before::bigint, pg_temp.pinned() -> 'offset'), (1::bigint, 'null'::jsonb), 'and readers are told');
select is(pg_temp.drain() > 0, true, 'the messages are relayed');
select is(pg_temp.retained(), 'null', 'a late joiner is not told of the redacted message');
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.pin_message(%L, 1)', :room)), 'PT404 message_not_found', 'a redacted message cannot be pinned');

select pg_temp.admit(:room, 'chat', :guest, '{"content":"three"}') \g /dev/null
select pg_temp.drain() as at \gset
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.pin_message(%L, %s)', :room, :at)), 'ok', 'a third message is pinned');
update sealcast.streams set closed_at = now() - interval '1 s' where stream_id = :room;
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.redact_messages(%L, %L)', :room, :guest)), 'ok', 'a purge of a closed stream');
select is((select count(*) from sealcast.pins), 0::bigint, 'unpins, too');

select * from finish();
rollback;

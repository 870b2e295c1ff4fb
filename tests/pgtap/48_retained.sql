-- Tests retained messages: which message is the state of a stream, who may read it, and when it ends.
begin;
\ir scene.psql
select no_plan();
delete from sealcast_internal.outbox;
update sealcast_internal.relay_leases set holder = 'tap', epoch = 1, lease_until = now() + interval '1 h';
insert into sealcast.message_types (t, tier, retained) values ('poll', 1, true), ('note', 1, false);

-- Gives the messages of this transaction their offsets, as in 46_redaction.sql. Returns how many are of retained types.
create function pg_temp.drain() returns bigint language plpgsql as $$
declare
  retained bigint;
begin
  update sealcast_internal.outbox set xid = '3' where xid = pg_current_xact_id();
  update sealcast_internal.relay_log r set seen = '3:3:', seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0;
  select count(*) filter (where d.retained) into retained from sealcast_internal.drain('tap', '{0,1,2,3}', '{1,1,1,1}', 100000) d;
  delete from sealcast_internal.outbox;
  return retained;
end $$;
create function pg_temp.send(stream_id uuid, t text, d text, sender uuid default 'b0000000-0000-4000-8000-000000000004') returns void language plpgsql as $$
begin
  if pg_temp.admit(stream_id, t, sender, d) <> '200' then raise 'not sent'; end if;
end $$;
-- The state of a stream as text: type, key and content of each message, in order of offset.
create function pg_temp.state(stream_id uuid default 'a0000000-0000-4000-8000-000000000001') returns text language sql as $$
  select string_agg(concat_ws(' ', envelope ->> 't', envelope -> 'd' ->> 'key', envelope -> 'd' ->> 'n'), ', ' order by "offset")
  from sealcast.stream_state(stream_id)
$$;

-- Which messages
select is(pg_temp.state(), null, 'a stream without retained messages has no state');
select pg_temp.send(:room, t, d) from (values (1, 'poll', '{"key":"a","n":1}'), (2, 'note', '{"key":"a","n":2}'), (3, 'poll', '{"n":3}'),
  (4, 'poll', '{"key":"a","n":4}'), (5, 'chat', '{"n":5}'), (6, 'poll', '{"key":null,"n":6}')) v (place, t, d) order by place;
select is(pg_temp.state(), null, 'a message without an offset is not in the state');
select is(pg_temp.drain(), 4::bigint, 'drain() names the messages of retained types');
select is(pg_temp.state(), 'poll a 4, poll 6', 'the newest message of each key is retained, and only of retained types');
select pg_temp.send(:room, 'poll', '{"key":"a","n":7}');
select is(pg_temp.drain(), 1::bigint, 'drain() names the newest message');
select is(pg_temp.state(), 'poll 6, poll a 7', 'a newer message replaces the older one');
select is((select array_agg(concat_ws(' ', "offset", prev)) from sealcast.stream_state(:room)), '{6 5,7 6}', 'the messages have the offsets of the stream');
select is((select bool_and(sealcast.verify(envelope)) from sealcast.stream_state(:room)), true, 'the envelopes verify');
select is(array_agg(concat_ws(' ', "offset", public_prev, last_offset, newest_redaction, log_epoch = sealcast.log_epoch())), '{"6 5 7 0 t","7 6 7 0 t"}', 'read_state() returns up to which offset this is the state')
from sealcast_internal.read_state(:room);
select is(array_agg(concat_ws(' ', "offset", last_offset)), '{0}', 'read_state() of a stream without state has one row') from sealcast_internal.read_state(:cave);
select is(array_agg(concat_ws(' ', t.envelope::json -> 'd' ->> 'n', t.retained) order by t."offset"),
          '{"1 t","2 f","3 t","4 t","5 f","6 t","7 t"}', 'tail() names the messages of retained types')
from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 100) t where t.stream_id = :room;

-- Keys
select is(sealcast_internal.retained_key(d), case key when '' then '' else encode(sha256(convert_to(key, 'UTF8')), 'hex') end, format('the key of %s is %s', left(d, 20), coalesce(quote_literal(key), 'not valid')))
from (values ('{}', ''), ('{"key":null}', ''), ('{"key":""}', ''), ('{"key":"k"}', 'k'), ('[]', ''), ('"key"', ''), ('{"key":7}', null), ('{"key":["k"]}', null),
  (format('{"key":"%s"}', repeat('é', 32)), repeat('é', 32)), (format('{"key":"%s"}', repeat('é', 32) || 'k'), null)) v (d, key);
select pg_temp.send(:room, 'poll', '{"key":7,"n":8}');
select is(pg_temp.drain(), 1::bigint, 'a message whose key is not valid gets its offset');
select is(pg_temp.state(), 'poll 6, poll a 7', 'and is not retained');
select pg_temp.send(:room, 'poll', json_build_object('key', 'k' || n, 'n', n)::text) from generate_series(1, 31) n;
select is(pg_temp.drain(), 31::bigint, '31 more keys');
select is((select array_agg(coalesce(envelope -> 'd' ->> 'key', '-') order by "offset") from (select * from sealcast.stream_state(:room) limit 2) s), '{a,k1}', 'of more than 32 keys of a type the oldest goes');
select is((select count(*) from sealcast.stream_state(:room)), 32::bigint, '32 keys of the type stay');

-- Rules are such a type.
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, %L)', :cave, '{"slow_mode_s":9}')), 'ok', 'the rules of the private stream change');
select is(pg_temp.drain(), 1::bigint, 'stream_rules is a retained type');

-- Who may read
select is(pg_temp.outcome('sealcast_user', caller, format('select count(*) from sealcast.stream_state(%L)', stream)), expected, why) from (values
  (null::text, :room, 'ok', 'anyone may read the state of a public stream'), (:guest, :cave, 'PT403 role_required', 'a guest may not read the state of a private stream'),
  (null, :cave, 'PT401 unauthenticated', 'nor may a caller without a session'), (:vip, :cave, 'ok', 'a member may'),
  (:vip, :nowhere, 'PT404 stream_not_found', 'a stream that does not exist has none')) v (caller, stream, expected, why);
select is(result, '9', 'the member gets the rules') from pg_temp.try('sealcast_user', :vip, format('select envelope -> ''d'' ->> ''slow_mode_s'' from sealcast.stream_state(%L)', :cave));
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.stream_state(%L, %L)', :room, 'secret')), 'PT400 invalid_request', 'another channel is refused');
select throws_ok('insert into sealcast.message_types (t, retained) values (''storm'', true)', '23514',
  'new row for relation "message_types" violates check constraint "retained_needs_tier_0_or_1"', 'a type of tier 2 is not retained: the channels would differ');

-- Redaction
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.redact_message(%L, 7::bigint)', :room)), 'ok', 'a retained message is redacted');
select is((select count(*) from sealcast.stream_state(:room) where envelope -> 'd' ->> 'key' = 'a'), 0::bigint, 'it leaves the state with the redaction, before any drain');
select is((select count(*) from sealcast_internal.read_state(:room) where envelope like '%"a"%' or newest_redaction = 0), 0::bigint, 'also for the sidecar, which learns of the redaction');
select is(pg_temp.drain(), 0::bigint, 'the announcement is relayed');
select is((select count(*) from sealcast.stream_state(:room) where envelope -> 'd' ->> 'key' = 'a'), 0::bigint, 'no older message takes its place');
select pg_temp.send(:room, 'poll', '{"key":"b","n":90}');
select is(sealcast.redact_messages(:room, :guest) > 0, true, 'the messages of the sender are purged, some of them before their offset');
select is(pg_temp.drain(), 1::bigint, 'the redacted message gets its offset');
select is(pg_temp.state(), null, 'a purge empties the state');

-- Its end
select pg_temp.send(:room, 'poll', '{"n":91}', :vip);
select is(pg_temp.drain(), 1::bigint, 'another message');
select is(pg_temp.state(), 'poll 91', 'is retained');
update sealcast.message_types set retained = false where t = 'poll';
select is(pg_temp.state(), null, 'a type that is no longer retained is in no state');
update sealcast.message_types set retained = true where t = 'poll';
select is(pg_temp.state(), 'poll 91', 'and is again when it is retained again');
delete from sealcast.messages where t = 'poll';
select is(pg_temp.state(), null, 'a message that is gone is in no state');

-- What it costs
create temp table written as select pg_stat_get_xact_tuples_inserted(r) as inserted, pg_stat_get_xact_tuples_updated(r) as updated, pg_stat_get_xact_tuples_hot_updated(r) as hot
  from (select 'sealcast.retained_messages'::regclass) t (r);
select pg_temp.send(:cave, 'poll', '{"n":1}', :vip) \g /dev/null
select pg_temp.drain() \g /dev/null
select pg_temp.send(:cave, 'poll', '{"n":2}', :vip), pg_temp.send(:cave, 'poll', '{"n":3}', :vip) \g /dev/null
select pg_temp.drain() \g /dev/null
select is(pg_stat_get_xact_tuples_inserted(r) - inserted, 1::bigint, 'the first message of a key is a new row')
from written, (select 'sealcast.retained_messages'::regclass) t (r);
select is(array[pg_stat_get_xact_tuples_updated(r) - updated, pg_stat_get_xact_tuples_hot_updated(r) - hot], '{1,1}'::bigint[],
          'each drain changes the row of a key once, in its place') from written, (select 'sealcast.retained_messages'::regclass) t (r);

select * from finish();
rollback;

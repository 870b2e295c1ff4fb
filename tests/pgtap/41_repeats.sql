-- Tests repeats: a (sender, txn_id) is inserted once. A repeat returns the original; the same key with other content is
-- refused.
begin;
\ir scene.psql
select plan(27);
\set txn '''c0000000-0000-4000-8000-000000000001'''

create temp table first as
select * from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array['{"b":1,"a":"x"}']);
select is((select status || ' ' || replayed from first), '200 false', 'the first message is sealed');
create temp view counts as
  select (select count(*) from sealcast.messages where sender_id = :guest) as messages,
         (select count(*) from sealcast.txn_keys where sender_id = :guest) as keys,
         (select count(*) from sealcast_internal.outbox o join sealcast.messages m on m.message_id between o.first_id and o.first_id + o.messages - 1 where m.sender_id = :guest) as queued;

create temp table again as
select * from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array['{"b":1,"a":"x"}']);
select is((select status || ' ' || replayed from again), '200 true', 'a repeat is answered with 200');
select is((select envelope from again), (select envelope from first), 'a repeat returns the original envelope, byte for byte');
select is((select c::text from counts c), '(1,1,1)', 'a repeat stores nothing and publishes nothing');
select is((select envelope from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array[' { "a" : "x", "b" : 1.0 } '])),
          (select envelope from first), 'another JSON text of the same content is a repeat');
select is(result, (select envelope from first), 'send_message() returns the original envelope too')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{"a":"x","b":1}'', %L)', :room, :txn));

-- The same key with other content.
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":2,"a":"x"}', :txn), '409 txn_id_reused', 'another payload under a used txn_id is refused');
select is(pg_temp.admit(:room, 'reaction', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'another type under a used txn_id is refused');
select is(pg_temp.admit(:cave, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'another stream under a used txn_id is refused');
select is(pg_temp.admit(:nowhere, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'a stream that does not exist under a used txn_id is refused as a conflict');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":', :txn), '400 invalid_json', 'invalid JSON under a used txn_id is refused as invalid');
select is(pg_temp.admit(:room, 'chat', :vip, '{"b":2,"a":"x"}', :txn), '200', 'another sender may use the same txn_id');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', %L)', :room, :txn)),
          'PT409 txn_id_reused', 'send_message() refuses other content under a used txn_id');

-- A repeat is answered, whatever has changed for the sender or the stream since.
insert into sealcast.restrictions (user_id, kind) values (:guest, 'ban');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'a repeat after a ban returns the original');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"y"}', :txn), '409 txn_id_reused', 'other content after a ban is still a conflict');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}'), '403 user_banned', 'a banned sender may not send a new message');
update sealcast.streams set closed_at = now() where stream_id = :room;
update sealcast.message_types set max_bytes = 2 where t = 'chat';
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'a repeat returns the original after the stream closed and the limit shrank');
delete from sealcast.message_types where t = 'chat';
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'a repeat returns the original after its type was deleted');
insert into sealcast.message_types (t) values ('chat');
update sealcast.streams set closed_at = null where stream_id = :room;
delete from sealcast.restrictions;

-- Repeats within one batch.
\set twice '''c0000000-0000-4000-8000-000000000002'''
\set clash '''c0000000-0000-4000-8000-000000000003'''
\set amended '''c0000000-0000-4000-8000-000000000004'''
create temp table batch as
select * from sealcast.admit(array_fill(:room::uuid, array[8]), array_fill('chat'::text, array[8]), array_fill(:guest::uuid, array[8]),
  array[:twice, :clash, :twice, :clash, :txn, :amended, :amended, :twice]::uuid[],
  array['{"n":1}', '{"n":2}', '{"n":1}', '{"n":3}', '{"b":1,"a":"x"}', '{"n":', '{"n":4}', '{"n":1}']);
select is((select array_agg(concat_ws(' ', status, code, case when replayed then 'replayed' end) order by item) from batch),
          array['200', '200', '200 replayed', '409 txn_id_reused', '200 replayed', '400 invalid_json', '200', '200 replayed'],
          'the first item with a key counts, and the others are repeats or conflicts');
select is((select count(distinct envelope) from batch where item in (1, 3, 8)), 1::bigint, 'all repeats of a key in a batch get one envelope');
select is((select envelope from batch where item = 5), (select envelope from first), 'a batch also answers a repeat of an older message');
select is((select c::text from counts c), '(4,4,4)', 'each key of a batch is stored once');

-- Keys are kept for retention.keep_txn_ids.
update sealcast.txn_keys set ts = ts - 8 * 86400000::bigint where (sender_id, txn_id) = (:guest, :txn);
select is((select array_agg(action) from pg_temp.maintain() where object like '%txn_keys'), array['trimmed'], 'maintain() trims a key after a week');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200', 'a trimmed key is free again');
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":1}', :twice), '200 replayed', 'maintain() keeps younger keys');

-- A transaction that is rolled back.
savepoint undone;
select pg_temp.admit(:room, 'chat', :guest, '{"n":5}', 'c0000000-0000-4000-8000-000000000005') \g /dev/null
rollback to undone;
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":6}', 'c0000000-0000-4000-8000-000000000005'), '200', 'a message that was rolled back leaves its key free');
select is((select count(*) from sealcast_internal.outbox o cross join generate_series(first_id, first_id + messages - 1) id where not exists (select from sealcast.messages m where m.message_id = id)), 0::bigint,
          'a message that was rolled back leaves nothing to relay');
select * from finish();
rollback;

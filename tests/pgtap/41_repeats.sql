-- Repeats: the same (sender, txn_id) is inserted once and answered with the original, or refused when it says otherwise.
begin;
\ir scene.psql
select plan(27);
\set txn '''c0000000-0000-4000-8000-000000000001'''

create temp table first as
select * from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array['{"b":1,"a":"x"}']);
select is((select status || ' ' || replayed from first), '200 false', 'the first is sealed');
create temp view counts as
  select (select count(*) from sealcast.messages where sender_id = :guest) as messages,
         (select count(*) from sealcast.txn_keys where sender_id = :guest) as keys,
         (select count(*) from sealcast.outbox o join sealcast.messages m on m.message_id between o.first_id and o.first_id + o.messages - 1 where m.sender_id = :guest) as queued;

create temp table again as
select * from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array['{"b":1,"a":"x"}']);
select is((select status || ' ' || replayed from again), '200 true', 'the repeat is answered');
select is((select envelope from again), (select envelope from first), 'with the original, byte for byte');
select is((select c::text from counts c), '(1,1,1)', 'nothing is stored or published again');
select is((select envelope from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:txn::uuid], array[' { "a" : "x", "b" : 1.0 } '])),
          (select envelope from first), 'the same content in other words is the same content');
select is(result, (select envelope from first), 'send_message() replays too')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{"a":"x","b":1}'', %L)', :room, :txn));

-- Other content.
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":2,"a":"x"}', :txn), '409 txn_id_reused', 'another payload');
select is(pg_temp.admit(:room, 'reaction', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'another type');
select is(pg_temp.admit(:cave, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'another stream');
select is(pg_temp.admit(:nowhere, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '409 txn_id_reused', 'even one that is not there');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":', :txn), '400 invalid_json', 'what has no hash is refused for what it is');
select is(pg_temp.admit(:room, 'chat', :vip, '{"b":2,"a":"x"}', :txn), '200', 'the key is the sender''s own');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', %L)', :room, :txn)),
          'PT409 txn_id_reused', 'from SQL likewise');

-- Whatever has become of the sender or the stream since.
insert into sealcast.restrictions (user_id, kind) values (:guest, 'ban');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'a repeat after a ban is still answered');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"y"}', :txn), '409 txn_id_reused', 'other content is still a conflict');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}'), '403 user_banned', 'but nothing new');
update sealcast.streams set closed_at = now() where stream_id = :room;
update sealcast.message_types set max_bytes = 2 where t = 'chat';
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'after the stream closed and the limit shrank');
delete from sealcast.message_types where t = 'chat';
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200 replayed', 'after the type has gone');
insert into sealcast.message_types (t) values ('chat');
update sealcast.streams set closed_at = null where stream_id = :room;
delete from sealcast.restrictions;

-- In one batch.
\set twice '''c0000000-0000-4000-8000-000000000002'''
\set clash '''c0000000-0000-4000-8000-000000000003'''
\set amended '''c0000000-0000-4000-8000-000000000004'''
create temp table batch as
select * from sealcast.admit(array_fill(:room::uuid, array[8]), array_fill('chat'::text, array[8]), array_fill(:guest::uuid, array[8]),
  array[:twice, :clash, :twice, :clash, :txn, :amended, :amended, :twice]::uuid[],
  array['{"n":1}', '{"n":2}', '{"n":1}', '{"n":3}', '{"b":1,"a":"x"}', '{"n":', '{"n":4}', '{"n":1}']);
select is((select array_agg(concat_ws(' ', status, code, case when replayed then 'replayed' end) order by item) from batch),
          array['200', '200', '200 replayed', '409 txn_id_reused', '200 replayed', '400 invalid_json', '200', '200 replayed'],
          'the first of a key counts, the others are its repeats or conflicts');
select is((select count(distinct envelope) from batch where item in (1, 3, 8)), 1::bigint, 'one envelope');
select is((select envelope from batch where item = 5), (select envelope from first), 'beside the repeat of an older one');
select is((select c::text from counts c), '(4,4,4)', 'each key once');

-- The key is kept as long as maintain() is told.
update sealcast.txn_keys set ts = ts - 8 * 86400000::bigint where (sender_id, txn_id) = (:guest, :txn);
select is((select array_agg(action) from sealcast.maintain() where object like '%txn_keys'), array['trimmed'], 'a week later it is forgotten');
select is(pg_temp.admit(:room, 'chat', :guest, '{"b":1,"a":"x"}', :txn), '200', 'and new again');
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":1}', :twice), '200 replayed', 'the younger ones are not');

-- Undone with its transaction.
savepoint undone;
select pg_temp.admit(:room, 'chat', :guest, '{"n":5}', 'c0000000-0000-4000-8000-000000000005') \g /dev/null
rollback to undone;
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":6}', 'c0000000-0000-4000-8000-000000000005'), '200', 'a rolled back message leaves its key free');
select is((select count(*) from sealcast.outbox o cross join generate_series(first_id, first_id + messages - 1) id where not exists (select from sealcast.messages m where m.message_id = id)), 0::bigint,
          'and nothing to relay');
select * from finish();
rollback;

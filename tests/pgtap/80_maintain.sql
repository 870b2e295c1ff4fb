-- Tests maintain(): which partitions it makes and drops, UTC days, trimming, and that it loses no message.
begin;
\ir scene.psql
select plan(37);

create function pg_temp.days(parent regclass) returns text language sql as $$
  select string_agg((day - (now() at time zone 'UTC')::date)::text, ' ' order by day) from sealcast.partitions(parent) $$;
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3', 'messages have partitions from yesterday to three days ahead');
select is(pg_temp.days('sealcast.stream_runs'), '-1 0 1 2 3', 'the log has partitions from yesterday to three days ahead');
select is((select count(*) from sealcast.maintain()), 0::bigint, 'a second call does nothing');
update sealcast.retention set days_ahead = 4;
select is((select array_agg(distinct action) from sealcast.maintain()), array['created'], 'a larger days_ahead makes a partition');
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3 4', 'the new partition is the day ahead');

-- Days are UTC days, whatever the time zone of the session.
set local timezone = 'Pacific/Kiritimati';
select is((select count(*) from sealcast.maintain()), 0::bigint, 'a session in Kiritimati makes no other days');
set local timezone = 'Pacific/Pago_Pago';
select is((select count(*) from sealcast.maintain()), 0::bigint, 'a session in Pago Pago makes no other days');
set local timezone = 'UTC';
select is(pg_get_expr(c.relpartbound, c.oid),
          format('FOR VALUES FROM (''%s'') TO (''%s'')', extract(epoch from p.day)::bigint * 1000, extract(epoch from p.day + 1)::bigint * 1000),
          p.partition || ' has the bounds of its day')
from sealcast.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition;
select is((select count(*) from sealcast.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition where not c.relrowsecurity), 0::bigint,
          'row-level security is on for each partition, whatever the default privileges');
select col_is_pk('sealcast', relname, array['ts', 'message_id'], relname || ' has a primary key')
from pg_class where oid in (select partition from sealcast.partitions('sealcast.messages')) and relname like '%' || to_char(now(), 'YYYYMMDD');

-- Old partitions. A message may be relayed on the day after it was sealed, so messages are kept a day longer than
-- offsets.
create function pg_temp.day_ms(days_ago integer) returns bigint language sql as $$ select extract(epoch from current_date - days_ago)::bigint * 1000 $$;
select sealcast.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - d),
       sealcast.make_partition('sealcast.stream_runs', 'logged_at', 'stream_id, "offset"', current_date - d) from unnest(array[10, 11, 12, 13]) d \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
values (:room, 5, 1, pg_temp.day_ms(12), 0, 1), (:room, 6, 1, pg_temp.day_ms(12) + 1, 0, 2), (:cave, 1, 2, pg_temp.day_ms(12), 0, 3), (:room, 7, 1, pg_temp.day_ms(11), 0, 5);
insert into sealcast.txn_keys values (:guest, :guest, pg_temp.day_ms(8), 1, ''), (:guest, :vip, pg_temp.day_ms(6), 2, '');
update sealcast.retention set keep = '10 days';
select results_eq($$select action, regexp_replace(object, '\d{8}$', '') from sealcast.maintain()$$,
                  $$values ('trimmed', '1 rows of sealcast.txn_keys'), ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.stream_runs_'),
                           ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.messages_'), ('dropped', 'sealcast.messages_')$$, 'keys and partitions beyond retention are removed');
select is(pg_temp.days('sealcast.stream_runs'), '-10 -1 0 1 2 3 4', 'the log of ten days is kept');
select is(pg_temp.days('sealcast.messages'), '-11 -10 -1 0 1 2 3 4', 'messages are kept a day longer');
select is((select array_agg(trimmed_through order by stream_id) from sealcast.streams where stream_id in (:room, :cave)), array[7, 2]::bigint[], 'trimmed_through is the highest dropped offset of each stream');
select is(sealcast.last_offset(:room), 7::bigint, 'the next offset follows the dropped ones');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 1::bigint, 'keys younger than a week are kept');

-- Messages that were never relayed.
delete from sealcast.relay_log;
update sealcast.retention set keep = '8 days';
insert into sealcast.outbox values ('7', 1, 1, pg_temp.day_ms(11), :room, sealcast.shard_of(:room), 0);
select is((select count(*) from sealcast.maintain() where object like 'sealcast.messages%'), 0::bigint, 'messages that are not relayed are not dropped');
insert into sealcast.relay_log values (sealcast.shard_of(:room), 1, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}');
select is((select count(*) from sealcast.maintain() where object like 'sealcast.messages%'), 2::bigint, 'once they are relayed, they are dropped');

-- A partition that maintain() did not make, and a partition with a dependent view.
create table sealcast.messages_ancient partition of sealcast.messages for values from (0) to (1);
select sealcast.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - 20) \g /dev/null
do $$ begin execute format('create view pg_temp.holds as select * from sealcast.messages_%s', to_char(current_date - 20, 'YYYYMMDD')); end $$;
select results_eq($$select action from sealcast.maintain()$$, $$values ('postponed')$$, 'dropping a partition with a dependent view is postponed');
select is(to_regclass('sealcast.messages_ancient')::text, 'sealcast.messages_ancient', 'a partition that maintain() did not make is kept');

-- The log of batches keeps the position of each shard.
delete from sealcast.relay_log;
insert into sealcast.relay_log select 0, n, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}' from generate_series(1, 3) n;
insert into sealcast.relay_members values ('gone', now() - interval '2 h'), ('here', now());
insert into sealcast.row_keys values (4294967295, 'a', 'b'), ('sealcast.streams', 'a', 'b');
select sealcast.maintain() \g /dev/null
select is((select array_agg(batch) from sealcast.relay_log), array[3]::bigint[], 'the newest batch is kept');
select is((select array_agg(holder) from sealcast.relay_members where holder in ('gone', 'here')), array['here'], 'members that are gone are deleted');
select is((select array_agg(table_id::text) from sealcast.row_keys where sender_id = 'a'), array['sealcast.streams'], 'keys of dropped tables are deleted');

-- After a restore, messages without an offset are queued once.
delete from sealcast.relay_log; delete from sealcast.outbox; delete from sealcast.messages; delete from sealcast.stream_runs;
select pg_temp.admit(:room, 'chat', :guest, json_build_object('n', n)::text) from generate_series(1, 4) n \g /dev/null
insert into sealcast.stream_runs select :room, 1, 1, ts, ts, message_id from sealcast.messages order by message_id limit 1;
delete from sealcast.outbox where first_id < (select max(message_id) from sealcast.messages);
update sealcast.maintenance set recovered = false;
select results_eq($$select action, object from sealcast.maintain() where action <> 'postponed'$$,
                  $$values ('queued', '2 messages without an offset')$$, 'only messages without an offset and without an outbox row are queued');
select is((select count(distinct first_id) || ' ' || sum(messages) from sealcast.outbox), '3 3', 'each message is queued once');
select is((select count(*) from sealcast.maintain() where action = 'queued'), 0::bigint, 'a second call queues nothing');

-- Retention has bounds, and is one row.
select throws_ok($$update sealcast.retention set keep = '1 hour', keep_txn_ids = '1 hour'$$, '23514', null, 'keep below 1 day is refused');
select throws_ok($$update sealcast.retention set keep_txn_ids = '1 minute'$$, '23514', null, 'keep_txn_ids below 15 minutes is refused');
select throws_ok($$update sealcast.retention set keep_txn_ids = '9 days'$$, '23514', null, 'keep_txn_ids above keep is refused');
select throws_ok($$update sealcast.retention set days_ahead = 0$$, '23514', null, 'days_ahead of 0 is refused');
insert into sealcast.retention (keep) values ('90 days');
select results_eq('select keep, days_ahead from sealcast.retention', $$values (interval '90 days', 3)$$, 'a restored row replaces the row of CREATE EXTENSION');
delete from sealcast.retention;
select throws_ok('select sealcast.maintain()', '55000', 'sealcast.retention has no row', 'without a row in retention, maintain() is an error');
select * from finish();
rollback;

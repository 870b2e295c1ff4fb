-- maintain(): partitions ahead and gone, days in UTC, keys trimmed, nothing lost.
begin;
\ir scene.psql
select plan(37);

create function pg_temp.days(parent regclass) returns text language sql as $$
  select string_agg((day - (now() at time zone 'UTC')::date)::text, ' ' order by day) from sealcast.partitions(parent) $$;
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3', 'yesterday to three days ahead');
select is(pg_temp.days('sealcast.stream_runs'), '-1 0 1 2 3', 'the log likewise');
select is((select count(*) from sealcast.maintain()), 0::bigint, 'a second call has nothing to do');
update sealcast.retention set days_ahead = 4;
select is((select array_agg(distinct action) from sealcast.maintain()), array['created'], 'a day more');
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3 4', 'is there');

-- Days are UTC's, whatever the session's time zone.
set local timezone = 'Pacific/Kiritimati';
select is((select count(*) from sealcast.maintain()), 0::bigint, 'no other days in Kiritimati');
set local timezone = 'Pacific/Pago_Pago';
select is((select count(*) from sealcast.maintain()), 0::bigint, 'nor in Pago Pago');
set local timezone = 'UTC';
select is(pg_get_expr(c.relpartbound, c.oid),
          format('FOR VALUES FROM (''%s'') TO (''%s'')', extract(epoch from p.day)::bigint * 1000, extract(epoch from p.day + 1)::bigint * 1000),
          p.partition || ' holds its day')
from sealcast.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition;
select is((select count(*) from sealcast.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition where not c.relrowsecurity), 0::bigint,
          'closed to whoever a default privilege lets in');
select col_is_pk('sealcast', relname, array['ts', 'message_id'], relname || ' has the key')
from pg_class where oid in (select partition from sealcast.partitions('sealcast.messages')) and relname like '%' || to_char(now(), 'YYYYMMDD');

-- Old ones. A message outlives its offset by a day, since it may be relayed on the next.
create function pg_temp.day_ms(days_ago integer) returns bigint language sql as $$ select extract(epoch from current_date - days_ago)::bigint * 1000 $$;
select sealcast.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - d),
       sealcast.make_partition('sealcast.stream_runs', 'logged_at', 'stream_id, "offset"', current_date - d) from unnest(array[10, 11, 12, 13]) d \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
values (:room, 5, 1, pg_temp.day_ms(12), 0, 1), (:room, 6, 1, pg_temp.day_ms(12) + 1, 0, 2), (:cave, 1, 2, pg_temp.day_ms(12), 0, 3), (:room, 7, 1, pg_temp.day_ms(11), 0, 5);
insert into sealcast.txn_keys values (:guest, :guest, pg_temp.day_ms(8), 1, ''), (:guest, :vip, pg_temp.day_ms(6), 2, '');
update sealcast.retention set keep = '10 days';
select results_eq($$select action, regexp_replace(object, '\d{8}$', '') from sealcast.maintain()$$,
                  $$values ('trimmed', '1 rows of sealcast.txn_keys'), ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.stream_runs_'),
                           ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.messages_'), ('dropped', 'sealcast.messages_')$$, 'what is past goes');
select is(pg_temp.days('sealcast.stream_runs'), '-10 -1 0 1 2 3 4', 'the log of ten days is kept');
select is(pg_temp.days('sealcast.messages'), '-11 -10 -1 0 1 2 3 4', 'and a day more of messages');
select is((select array_agg(trimmed_through order by stream_id) from sealcast.streams where stream_id in (:room, :cave)), array[7, 2]::bigint[], 'readers are told what has gone');
select is(sealcast.last_offset(:room), 7::bigint, 'and offsets go on from there');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 1::bigint, 'keys younger than a week are kept');

-- What was never relayed is not dropped.
delete from sealcast.relay_log;
update sealcast.retention set keep = '8 days';
insert into sealcast.outbox values ('7', 1, 1, pg_temp.day_ms(11), :room, sealcast.shard_of(:room), 0);
select is((select count(*) from sealcast.maintain() where object like 'sealcast.messages%'), 0::bigint, 'unrelayed messages stay');
insert into sealcast.relay_log values (sealcast.shard_of(:room), 1, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}');
select is((select count(*) from sealcast.maintain() where object like 'sealcast.messages%'), 2::bigint, 'until they are');

-- A partition that is not maintain()'s, and one that somebody depends on.
create table sealcast.messages_ancient partition of sealcast.messages for values from (0) to (1);
select sealcast.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - 20) \g /dev/null
do $$ begin execute format('create view pg_temp.holds as select * from sealcast.messages_%s', to_char(current_date - 20, 'YYYYMMDD')); end $$;
select results_eq($$select action from sealcast.maintain()$$, $$values ('postponed')$$, 'in use: another time');
select is(to_regclass('sealcast.messages_ancient')::text, 'sealcast.messages_ancient', 'not ours: left alone');

-- The log of batches, but never a shard's position.
delete from sealcast.relay_log;
insert into sealcast.relay_log select 0, n, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}' from generate_series(1, 3) n;
insert into sealcast.relay_members values ('gone', now() - interval '2 h'), ('here', now());
insert into sealcast.row_keys values (4294967295, 'a', 'b'), ('sealcast.streams', 'a', 'b');
select sealcast.maintain() \g /dev/null
select is((select array_agg(batch) from sealcast.relay_log), array[3]::bigint[], 'the newest batch stays');
select is((select array_agg(holder) from sealcast.relay_members where holder in ('gone', 'here')), array['here'], 'members that are gone go');
select is((select array_agg(table_id::text) from sealcast.row_keys where sender_id = 'a'), array['sealcast.streams'], 'and keys of tables that are');

-- After a restore: what has no offset is queued once, whatever was sent before.
delete from sealcast.relay_log; delete from sealcast.outbox; delete from sealcast.messages; delete from sealcast.stream_runs;
select pg_temp.admit(:room, 'chat', :guest, json_build_object('n', n)::text) from generate_series(1, 4) n \g /dev/null
insert into sealcast.stream_runs select :room, 1, 1, ts, ts, message_id from sealcast.messages order by message_id limit 1;
delete from sealcast.outbox where first_id < (select max(message_id) from sealcast.messages);
update sealcast.maintenance set recovered = false;
select results_eq($$select action, object from sealcast.maintain() where action <> 'postponed'$$,
                  $$values ('queued', '2 messages without an offset')$$, 'not the one that has an offset, nor the one that is queued');
select is((select count(distinct first_id) || ' ' || sum(messages) from sealcast.outbox), '3 3', 'each once');
select is((select count(*) from sealcast.maintain() where action = 'queued'), 0::bigint, 'and once only');

-- Retention has bounds, and is one row.
select throws_ok($$update sealcast.retention set keep = '1 hour', keep_txn_ids = '1 hour'$$, '23514');
select throws_ok($$update sealcast.retention set keep_txn_ids = '1 minute'$$, '23514');
select throws_ok($$update sealcast.retention set keep_txn_ids = '9 days'$$, '23514');
select throws_ok($$update sealcast.retention set days_ahead = 0$$, '23514');
insert into sealcast.retention (keep) values ('90 days');
select results_eq('select keep, days_ahead from sealcast.retention', $$values (interval '90 days', 3)$$, 'a restored row takes its place');
delete from sealcast.retention;
select throws_ok('select sealcast.maintain()', '55000', 'sealcast.retention has no row, so nobody knows what may be dropped');
select * from finish();
rollback;

-- Tests maintain(): which partitions it makes and drops, UTC days, trimming, and that it loses no message.
begin;
\ir scene.psql
select plan(65);

create function pg_temp.days(parent regclass) returns text language sql as $$
  select string_agg((day - (now() at time zone 'UTC')::date)::text, ' ' order by day) from sealcast_internal.partitions(parent) $$;
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3', 'messages have partitions from yesterday to three days ahead');
select is(pg_temp.days('sealcast.stream_runs'), '-1 0 1 2 3', 'the log has partitions from yesterday to three days ahead');
select is((select count(*) from pg_temp.maintain()), 0::bigint, 'a second maintain() on the same day does nothing');
update sealcast.retention set days_ahead = 4;
select is((select array_agg(distinct action) from pg_temp.maintain()), array['created'], 'a larger days_ahead makes a partition');
select is(pg_temp.days('sealcast.messages'), '-1 0 1 2 3 4', 'the new partition is the day ahead');

-- Days are UTC days, whatever the time zone of the session.
set local timezone = 'Pacific/Kiritimati';
select is((select count(*) from pg_temp.maintain()), 0::bigint, 'a session in Kiritimati makes no other days');
set local timezone = 'Pacific/Pago_Pago';
select is((select count(*) from pg_temp.maintain()), 0::bigint, 'a session in Pago Pago makes no other days');
set local timezone = 'UTC';
select is(pg_get_expr(c.relpartbound, c.oid),
          format('FOR VALUES FROM (''%s'') TO (''%s'')', extract(epoch from p.day)::bigint * 1000, extract(epoch from p.day + 1)::bigint * 1000),
          p.partition || ' has the bounds of its day')
from sealcast_internal.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition;
select is((select count(*) from sealcast_internal.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition where not c.relrowsecurity), 0::bigint,
          'row-level security is on for each partition, whatever the default privileges');
select col_is_pk('sealcast', relname, array['ts', 'message_id'], relname || ' has a primary key')
from pg_class where oid in (select partition from sealcast_internal.partitions('sealcast.messages')) and relname like '%' || to_char(now(), 'YYYYMMDD');

-- Old partitions. A message may be relayed on the day after it was sealed, so messages are kept a day longer than
-- offsets.
create function pg_temp.day_ms(days_ago integer) returns bigint language sql as $$ select extract(epoch from current_date - days_ago)::bigint * 1000 $$;
select sealcast_internal.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - d),
       sealcast_internal.make_partition('sealcast.stream_runs', 'logged_at', 'stream_id, "offset"', current_date - d) from unnest(array[10, 11, 12, 13]) d \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
values (:room, 5, 1, pg_temp.day_ms(12), 0, 1), (:room, 6, 1, pg_temp.day_ms(12) + 1, 0, 2), (:cave, 1, 2, pg_temp.day_ms(12), 0, 3), (:room, 7, 1, pg_temp.day_ms(11), 0, 5);
insert into sealcast.txn_keys values (:guest, :guest, pg_temp.day_ms(8), 1, ''), (:guest, :vip, pg_temp.day_ms(6), 2, '');
insert into sealcast.redactions (ts, message_id, stream_id, payload_hash, redacted_at, event_id)
  select pg_temp.day_ms(d), d, :room, sha256(''), 1, 1 from unnest(array[11, 12, 13]) d;
update sealcast.retention set keep = '10 days';
select results_eq($$select action, regexp_replace(object, '\d{8}$', '') from pg_temp.maintain()$$,
                  $$values ('trimmed', '1 rows of sealcast.txn_keys'), ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.stream_runs_'),
                           ('dropped', 'sealcast.stream_runs_'), ('dropped', 'sealcast.messages_'), ('dropped', 'sealcast.messages_')$$, 'keys and partitions beyond retention are removed');
select is(pg_temp.days('sealcast.stream_runs'), '-10 -1 0 1 2 3 4', 'the log of ten days is kept');
select is(pg_temp.days('sealcast.messages'), '-11 -10 -1 0 1 2 3 4', 'messages are kept a day longer');
select is(array_agg(message_id), '{11}', 'redactions are dropped with their messages') from sealcast.redactions;
select is((select array_agg(trimmed_through order by stream_id) from sealcast.streams where stream_id in (:room, :cave)), array[7, 2]::bigint[], 'trimmed_through is the highest dropped offset of each stream');
select is(sealcast_internal.last_offset(:room), 7::bigint, 'the next offset follows the dropped ones');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 1::bigint, 'keys younger than a week are kept');

-- Messages that were never relayed.
delete from sealcast_internal.relay_log;
update sealcast.retention set keep = '8 days';
insert into sealcast_internal.outbox values ('7', 1, 1, pg_temp.day_ms(11), :room, sealcast_internal.shard_of(:room), 0);
select is((select count(*) from pg_temp.maintain() where object like 'sealcast.messages%'), 0::bigint, 'messages that are not relayed are not dropped');
insert into sealcast_internal.relay_log values (sealcast_internal.shard_of(:room), 1, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}');
select is((select count(*) from pg_temp.maintain() where object like 'sealcast.messages%'), 2::bigint, 'messages beyond retention are dropped after they are relayed');

-- A partition that maintain() did not make, and a partition with a dependent view.
create table sealcast.messages_ancient partition of sealcast.messages (primary key (ts, message_id)) for values from (0) to (1);
select sealcast_internal.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - 20) \g /dev/null
do $$ begin execute format('create view pg_temp.holds as select * from sealcast.messages_%s', to_char(current_date - 20, 'YYYYMMDD')); end $$;
select results_eq($$select action from pg_temp.maintain()$$, $$values ('postponed')$$, 'dropping a partition with a dependent view is postponed');
select is(to_regclass('sealcast.messages_ancient')::text, 'sealcast.messages_ancient', 'a partition that maintain() did not make is kept');

-- The log of batches keeps the position of each shard.
delete from sealcast_internal.relay_log;
insert into sealcast_internal.relay_log select 0, n, 1, 0, '8:8:', '0', 0, null, null, null, 0, '{}', '{}', '{}' from generate_series(1, 3) n;
insert into sealcast_internal.relay_members values ('gone', now() - interval '2 h'), ('here', now());
insert into sealcast_internal.revocations (user_id, due_at) values (:guest, now() - interval '61 min'), (:vip, now() - interval '59 min');
delete from sealcast_internal.user_notices;
insert into sealcast_internal.user_notices (stream_id, user_id, subject, noticed_at) values (:room, :guest, 'mute', now() - interval '61 min'), (:room, :vip, 'mute', now() - interval '59 min');
insert into sealcast_internal.row_keys values (4294967295, 'a'), ('sealcast.streams', 'a');
select pg_temp.maintain() \g /dev/null
select is((select array_agg(batch) from sealcast_internal.relay_log), array[3]::bigint[], 'the newest batch is kept');
select is((select array_agg(holder) from sealcast_internal.relay_members where holder in ('gone', 'here')), array['here'], 'members that are gone are deleted');
select is((select array_agg(user_id) from sealcast_internal.revocations), array[:vip]::uuid[], 'revocations that have no purpose any more are deleted');
select is((select array_agg(user_id) from sealcast_internal.user_notices), array[:vip]::uuid[], 'changes of which every sidecar has told are deleted');
select is((select array_agg(table_id::text) from sealcast_internal.row_keys where key = 'a'), array['sealcast.streams'], 'keys of dropped tables are deleted');

-- After a restore, messages without an offset are queued once.
delete from sealcast_internal.relay_log; delete from sealcast_internal.outbox; delete from sealcast.messages; delete from sealcast.stream_runs;
select pg_temp.admit(:room, 'chat', :guest, json_build_object('n', n)::text) from generate_series(1, 4) n \g /dev/null
insert into sealcast.stream_runs select :room, 1, 1, ts, ts, message_id from sealcast.messages order by message_id limit 1;
delete from sealcast_internal.outbox where first_id < (select max(message_id) from sealcast.messages);
update sealcast_internal.maintenance set recovered = false;
select results_eq($$select action, object from pg_temp.maintain() where action <> 'postponed'$$,
                  $$values ('queued', '2 messages without an offset')$$, 'only messages without an offset and without an outbox row are queued');
select is((select count(distinct first_id) || ' ' || sum(messages) from sealcast_internal.outbox), '3 3', 'each message is queued once');
select is((select count(*) from pg_temp.maintain() where action = 'queued'), 0::bigint, 'a second call queues nothing');

-- Retention has bounds, and is one row.
select throws_ok($$update sealcast.retention set keep = '1 hour', keep_txn_ids = '1 hour'$$, '23514', null, 'keep below 1 day is refused');
select throws_ok($$update sealcast.retention set keep_txn_ids = '1 minute'$$, '23514', null, 'keep_txn_ids below 15 minutes is refused');
select throws_ok($$update sealcast.retention set keep_txn_ids = '9 days'$$, '23514', null, 'keep_txn_ids above keep is refused');
select throws_ok($$update sealcast.retention set days_ahead = 0$$, '23514', null, 'days_ahead of 0 is refused');
insert into sealcast.retention (keep, keep_txn_ids, days_ahead) values ('90 days', '1 day', 2), ('2 days', '2 days', 1);
select is(sealcast_internal.current_retention()::text, '("90 days","7 days",4,"365 days","184 days","3 days")', 'of several rows, the longest times apply');

-- Without the row of retention, or before the data of a dump is restored, nothing is dropped or queued.
set local client_min_messages = error;
delete from sealcast.retention;
update sealcast_internal.maintenance set recovered = false;
select sealcast_internal.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - 400) \g /dev/null
select is((select count(*) from pg_temp.maintain()), 0::bigint, 'without a row in retention, maintain() drops no message');
select is((select recovered from sealcast_internal.maintenance), false, 'without a row in retention, maintain() queues no message of a restored dump');
insert into sealcast.retention default values;
delete from sealcast.added_types;
select is((select count(*) from pg_temp.maintain()), 0::bigint, 'without the other rows of a dump, maintain() drops no message');
select throws_ok(statement, '55000', relation || ' has none of its default rows yet', 'a change that would be lost is refused: ' || statement)
from (values ('update sealcast.message_types set rate = 9', 'sealcast.message_types'), ('delete from sealcast.message_types where t = ''chat''', 'sealcast.message_types'),
             ('update sealcast.retention set keep = ''9 days''', 'sealcast.retention')) v (statement, relation);

-- A new database, in which a type was inserted before the first maintain().
do $$
declare
  partition regclass;
begin
  for partition in select p.partition from unnest('{sealcast.messages,sealcast.stream_runs}'::regclass[]) parent, sealcast_internal.partitions(parent) p loop
    execute format('drop table %s cascade', partition);
  end loop;
end $$;
truncate sealcast.message_types, sealcast.added_types, sealcast.retention;
insert into sealcast.message_types (t, rate) values ('chat', 9), ('mine', 1);
select isnt((select count(*) from pg_temp.maintain()), 0::bigint, 'the first maintain() makes partitions');
select is((select string_agg(t || ' ' || rate, ', ' order by t) from sealcast.message_types),
          'announcement 5, chat 9, message_redacted 5, messages_purged 5, mine 1, pinned 5, reaction 5, sampling_update 5, stream_rules 5, transport_migrate 5, transport_warmup 5, viewer_count_update 5',
          'the first maintain() adds the built-in types and keeps the rows of the user');
select is(sealcast_internal.current_retention()::text, '("30 days","7 days",3,"365 days","184 days","3 days")', 'the first maintain() adds the default retention');
delete from sealcast.message_types where t in ('reaction', 'announcement');
delete from sealcast.added_types where t = 'announcement';
select pg_temp.maintain() \g /dev/null
select is((select count(*) from sealcast.message_types where t = 'reaction'), 0::bigint, 'a deleted built-in type is not added again');
select is((select count(*) from sealcast.message_types where t = 'announcement'), 1::bigint, 'a built-in type that is new in this version is added');

-- Each call ends after the first step that has changed something.
create function pg_temp.calls(calls integer) returns table (action text, object text) language plpgsql as $$
begin
  for i in 1..calls loop
    return query select m.action, regexp_replace(m.object, '\d{8}$', '') from sealcast.maintain() m;
  end loop;
end $$;
select pg_temp.maintain() \g /dev/null
select sealcast_internal.make_partition('sealcast.stream_runs', 'logged_at', 'stream_id, "offset"', current_date - d) from unnest(array[50, 51]) d \g /dev/null
insert into sealcast.txn_keys values (:guest, :nowhere, pg_temp.day_ms(8), 1, '');
insert into sealcast.event_effects values ('h', :guest, :guest, 1, now() - interval '8 days');
update sealcast.retention set days_ahead = 5;
select is((select finished_at > began_at and next_step = 0 from sealcast_internal.maintenance), true, 'finished_at is the end of the last maintenance');
create temp table finished as select finished_at from sealcast_internal.maintenance;
select results_eq('select * from pg_temp.calls(1)', $$values ('created', 'sealcast.messages_'), ('created', 'sealcast.stream_runs_'), ('created', 'sealcast.messages_'), ('created', 'sealcast.stream_runs_'),
  ('unfinished', 'call sealcast.maintain() again')$$, 'a call that makes partitions does nothing else');
select results_eq('select * from pg_temp.calls(1)', $$values ('trimmed', '1 rows of sealcast.txn_keys'), ('unfinished', 'call sealcast.maintain() again')$$, 'the next call trims one table');
select results_eq('select * from pg_temp.calls(1)', $$values ('trimmed', '1 rows of sealcast.event_effects'), ('unfinished', 'call sealcast.maintain() again')$$, 'a further call trims another table');
select results_eq('select * from pg_temp.calls(1)', $$values ('dropped', 'sealcast.stream_runs_'), ('unfinished', 'call sealcast.maintain() again')$$, 'a call drops one partition');
select is(m.finished_at, f.finished_at, 'finished_at stays until the maintenance is complete') from sealcast_internal.maintenance m, finished f;
select results_eq('select * from pg_temp.calls(2)', $$values ('dropped', 'sealcast.stream_runs_')$$, 'the last call of a maintenance does not ask for another call');
select cmp_ok(m.finished_at, '>', f.finished_at, 'the last call of a maintenance records finished_at') from sealcast_internal.maintenance m, finished f;

update sealcast.retention set days_ahead = 50;
select is((select array_agg(distinct action || ' ' || n) from (select action, count(*) as n from pg_temp.calls(1) group by action) a), '{created 20,unfinished 1}', 'a call makes at most 20 partitions');
select pg_temp.maintain() \g /dev/null
select is((select count(*) from sealcast_internal.partitions('sealcast.messages') where day >= current_date), 51::bigint, 'further calls make the rest');

-- A maintenance that was given up begins anew.
update sealcast.retention set days_ahead = 51;
update sealcast_internal.maintenance set next_step = 5, began_at = clock_timestamp() - interval '50 minutes';
select is((select count(*) from sealcast.maintain() where action = 'created'), 0::bigint, 'a call continues the maintenance of 50 minutes ago');
update sealcast_internal.maintenance set next_step = 5, began_at = clock_timestamp() - interval '70 minutes';
select is((select count(*) from sealcast.maintain() where action = 'created'), 2::bigint, 'a maintenance that began 70 minutes ago begins again with the partitions');

-- The background worker asks whether maintenance is due.
create function pg_temp.due(began interval, finished interval) returns boolean language sql as $$
  update sealcast_internal.maintenance set began_at = now() - began, finished_at = now() - finished;
  select sealcast_internal.maintenance_due('1 hour') $$;
select is(pg_temp.due(null, null), null, 'in a database in which nobody began it, maintenance is not due');
select is(pg_temp.due('2 hours', null), true, 'a maintenance that never ended is due');
select is(pg_temp.due('2 hours', '50 minutes') or not pg_temp.due('2 minutes', '70 minutes'), false, 'maintenance is due when the last one ended long ago');
select * from finish();
rollback;

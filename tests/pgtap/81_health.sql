-- Tests the view sealcast.health and readiness(): each value, also while tables are locked, and without a scan of large
-- tables.
begin;
\ir scene.psql
select plan(48);

create function pg_temp.health(check_name text, of_subject text default null, out value numeric, out ok boolean, out detail text)
  language sql as $$
  select h.value, h.ok, h.detail from sealcast.health h where h.name = check_name and h.subject is not distinct from of_subject $$;
create function pg_temp.at(age interval) returns bigint language sql as $$ select floor(extract(epoch from clock_timestamp() - age) * 1000)::bigint $$;

-- An empty relay at a known position: xids below 10 are relayed, xid 20 was running, 30 is the newest.
delete from sealcast_internal.outbox;
delete from sealcast_internal.relay_log;
update sealcast_internal.relay_leases set holder = null, lease_until = '-infinity';
delete from sealcast_internal.relay_members;
insert into sealcast_internal.relay_log
select shard, 7, 1, pg_temp.at('5 min'), '20:31:20', '30', 1000, null, null, null, 0, '{}', '{}', '{}' from generate_series(0, 3) shard;
create function pg_temp.queue(xid xid8, first_id bigint, age interval, messages integer default 1) returns void language sql as $$
  insert into sealcast_internal.outbox values (xid, first_id, messages, pg_temp.at(age), 'a0000000-0000-4000-8000-000000000001', 1, 0) $$;
create function pg_temp.lag(shard integer default 1) returns bigint language sql as $$
  -- In steps of ten seconds: a slow machine needs some seconds for this file.
  select trunc((pg_temp.health('relay_lag_seconds', shard::text)).value / 10)::bigint * 10 $$;

select is(pg_temp.lag(), 0::bigint, 'without messages the lag is 0');
select pg_temp.queue('11', 900, '1 hour') \g /dev/null
select is(pg_temp.lag(), 0::bigint, 'a relayed message is no lag, although its row is still in the outbox');
select pg_temp.queue('40', 2000, '30 s'), pg_temp.queue('41', 2001, '20 s', 3) \g /dev/null
select is(pg_temp.lag(), 30::bigint, 'the lag is the age of the oldest message that is not relayed');
select is(pg_temp.lag(2), 0::bigint, 'a lag of one shard is not a lag of the other shards');
select is((pg_temp.health('relay_lag_seconds', '1')).ok, false, 'a lag of 5 s is not ok');
select is((pg_temp.health('relay_lag_seconds', '1')).detail, 'no sidecar leads the shard', 'the lag names the reason: no leader');
select is((pg_temp.health('relay_unrelayed_messages', '1')).value, 4::numeric, 'the messages that are not relayed are counted, not the rows');
select is((select (relay_lag_ms / 10000 * 10)::integer from sealcast_internal.readiness()), 30, 'readiness() returns the same lag');
select pg_temp.queue('20', 500, '2 min') \g /dev/null
select is(pg_temp.lag(), 120::bigint, 'a transaction that was running at the position is found by its xid, although its ids are older');
-- Within a window: xids up to 50 are visible, relayed up to message_id 2000; xid 45 was still running.
update sealcast_internal.relay_log set target = '20:51:20,45', target_xid = '50', target_id = 2100, after_id = 2000;
select is(pg_temp.lag(), 120::bigint, 'a transaction that still ran at the end of the window is not relayed');
delete from sealcast_internal.outbox where xid = '20';
select is(pg_temp.lag(), 20::bigint, 'messages of a window are relayed up to after_id');
select pg_temp.queue('45', 1500, '40 s') \g /dev/null
select is(pg_temp.lag(), 40::bigint, 'a message below after_id that the window does not see is not relayed');
delete from sealcast_internal.outbox where xid = '45';
select pg_temp.queue('60', 2200, '10 s') \g /dev/null
select is((pg_temp.health('relay_unrelayed_messages', '1')).value, 4::numeric, 'messages within and after the window are counted once');
select is(round((pg_temp.health('relay_position_age_seconds', '3')).value / 10), 30::numeric, 'the age of a position is the time since its batch');

-- The count stops, and no plan reads all of the outbox.
delete from sealcast_internal.outbox;
insert into sealcast_internal.outbox select '70', 3000 + n, 1, pg_temp.at('10 s'), :room, 1, n % 3 from generate_series(1, 20000) n;
select is((pg_temp.health('relay_unrelayed_messages', '1'))::text, '(10000,t,"at least; counted 10000 rows of the outbox")', 'the count stops at 10000 rows');
update sealcast_internal.relay_log set target = null, target_xid = null, target_id = null, after_id = 0;
analyze sealcast_internal.outbox;
select pg_stat_force_next_flush() \g /dev/null
create temp table reads as select sum(idx_tup_fetch + seq_tup_read) as n from pg_stat_xact_all_tables where relname like 'outbox\__';
select * from sealcast_internal.relay_backlog(1) \g /dev/null
select cmp_ok((select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_all_tables where relname like 'outbox\__') - (select n from reads), '<', 20::numeric,
              'the oldest message is found without reading the other 20000');
delete from sealcast_internal.outbox;

-- Leases and sidecars.
select is(pg_temp.health('relay_lease_seconds', '0')::text, '(,f,"no sidecar leads the shard")', 'a shard without a holder is not ok');
select is(pg_temp.health('sidecars')::text, '(0,f,)', 'no sidecar is not ok');
insert into sealcast_internal.relay_members values ('b', now()), ('a', now()), ('old', now() - interval '1 min');
update sealcast_internal.relay_leases set holder = 'a', backend = 5, lease_until = clock_timestamp() + interval '1 h';
select is(pg_temp.health('sidecars')::text, '(2,t,"a, b")', 'the living sidecars are named');
select is((pg_temp.health('relay_lease_seconds', '0')).ok::text || (pg_temp.health('relay_lease_seconds', '0')).detail, 'truea, pid 5', 'a lease names its holder and the process');

-- Partitions.
select is(pg_temp.health('partitions_ahead_days', parent)::text, '(3,t,)', 'three days ahead of ' || parent) from unnest('{messages,stream_runs}'::text[]) parent;
create function pg_temp.drop_day(parent text, days integer) returns void language plpgsql as $$
begin execute format('drop table sealcast.%I', parent || '_' || to_char((now() at time zone 'UTC')::date + days, 'YYYYMMDD')); end $$;
select pg_temp.drop_day('messages', 2) \g /dev/null
select is((pg_temp.health('partitions_ahead_days', 'messages')).value, 1::numeric, 'days after a gap do not count');
select pg_temp.drop_day('messages', 1) \g /dev/null
select is(pg_temp.health('partitions_ahead_days', 'messages')::text, '(0,f,"there is no partition for tomorrow: run select * from sealcast.maintain()")', 'no partition for tomorrow is not ok');
select is((select missing_partitions from sealcast_internal.readiness()), '', 'a sidecar is ready while today has a partition');
select pg_temp.drop_day('messages', 0), pg_temp.drop_day('stream_runs', 0) \g /dev/null
select is(pg_temp.health('partitions_ahead_days', 'messages')::text, '(-1,f,"no partition takes a row of now: run select * from sealcast.maintain()")', 'no partition for today is -1');
select is((select missing_partitions from sealcast_internal.readiness()), 'sealcast.messages, sealcast.stream_runs', 'readiness() names both parents');
savepoint before;
create table sealcast.messages_rest partition of sealcast.messages default;
select is((pg_temp.health('partitions_ahead_days', 'messages')).value, 'Infinity'::numeric, 'a DEFAULT partition takes every row');
rollback to before;
select pg_temp.drop_day('messages', -1), pg_temp.drop_day('messages', 3) \g /dev/null
create table sealcast.messages_long partition of sealcast.messages for values from (0) to (maxvalue);
select is((pg_temp.health('partitions_ahead_days', 'messages')).value, 'Infinity'::numeric, 'a partition without an end takes every row to come');
rollback to before;

-- Keys and maintain().
select is((pg_temp.health('txn_keys_kept')).value, (select count(*)::numeric from sealcast.txn_keys), 'the keys of a small table are counted');
insert into sealcast.txn_keys select gen_random_uuid(), gen_random_uuid(), pg_temp.at('9 days'), n, '' from generate_series(1, 40000) n;
select cmp_ok(abs((pg_temp.health('txn_keys_kept')).value - 40000), '<', 2000::numeric, 'the number of keys is estimated from a sample');
select is(h.ok || ' ' || round(h.value / 86400) || ' ' || h.detail, 'false 9 keep_txn_ids is 7 days', 'keys older than keep_txn_ids and a day are not ok')
from pg_temp.health('txn_keys_oldest_seconds') h;
update sealcast_internal.maintenance set finished_at = null;
select is(pg_temp.health('maintain_age_seconds')::text, '(,f,"maintain() has never finished")', 'a maintain() that never finished is not ok');
do $$ begin while exists (select from sealcast.maintain() where action = 'unfinished') loop end loop; end $$;
select is((pg_temp.health('maintain_age_seconds')).ok, true, 'maintain() records its end');

-- Deliveries, dead letters and events.
insert into sealcast.deliveries select 'post', shard, 6, now(), now() from generate_series(0, 3) shard;
insert into sealcast.delivery_lags values ('post', :room, 1, 'slow');
insert into sealcast.dead_letters values ('post', :room, 1, 'x', 1), ('post', :room, 2, 'x', 1);
select is(trunc((pg_temp.health('delivery_behind_seconds', 'post')).value / 10) || ' ' || (pg_temp.health('delivery_behind_seconds', 'post')).ok, '30 false', 'a transport is behind by the age of its next batch');
select is((pg_temp.health('delivery_lagging_streams', 'post')).value || ' ' || (pg_temp.health('dead_letters', 'post')).value, '1 2', 'lagging streams and dead letters are counted');
update sealcast_internal.relay_members set seen_at = clock_timestamp(), transports = case holder when 'a' then '{sse}' else '{ably}' end::text[] where holder in ('a', 'b');
select is(pg_temp.health('delivery_uncarried_shards', 'post')::text, '(4,f,"no sidecar delivers the shards 0, 1, 2, 3; turn the transport on, or if it was removed, run sealcast.forget_transport()")', 'a transport that the leader lacks is not ok');
select is((pg_temp.health('delivery_uncarried_shards', 'ably')).value, 4::numeric, 'a transport without a cursor is counted too');
update sealcast_internal.relay_members set transports = '{post}' where holder = 'a';
select is(pg_temp.health('delivery_uncarried_shards', 'post')::text, '(0,t,)', 'a transport of the leader is ok');
create function public.tap_handler(e sealcast.event) returns void language sql security definer as '';
grant execute on function public.tap_handler(sealcast.event) to sealcast_service;
select sealcast.register_handler('tap', 'chat', 'public.tap_handler(sealcast.event)', group_name => 'taps') \g /dev/null
select is(pg_temp.health('event_group_behind_seconds', 'taps')::text, '(,f,"no worker runs; run sealcastd worker --group taps, or unregister the handlers of the group")', 'a group without workers is not ok');
select sealcast_internal.claim_partitions('taps', 'w', 3000, 2) \g /dev/null
select is(pg_temp.health('event_group_behind_seconds', 'taps')::text, '(,f,"no worker has finished an event yet")', 'with a worker, it is not ok before an event is finished');
update sealcast_internal.event_leases set finished_to = case partition when 0 then pg_temp.at('1 min') else pg_temp.at('10 min') end where group_name = 'taps';
select is(round((pg_temp.health('event_group_behind_seconds', 'taps')).value / 10), 60::numeric, 'a group is behind by its slowest partition');
select is(pg_temp.health('event_waiting_seconds')::text, '(0,t,)', 'no event that fails is ok');
insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset", waits_since, due_at)
select 'tap', :guest, gen_random_uuid(), 1, reason, :room, 1, now() - age, now() from (values ('first', interval '10 min'), ('second', '1 min')) v (reason, age);
select is(trunc(h.value / 300) || ' ' || h.ok || ' ' || h.detail, '2 false tap: first', 'an event that has failed for five minutes is not ok') from pg_temp.health('event_waiting_seconds') h;

-- Every role that may monitor, and no other.
select is(pg_temp.outcome(role, null, 'select count(*) from sealcast.health'), outcome, format('for the role %s, reading health gives %s', role, outcome))
from (values ('sealcast_admin', 'ok'), ('sealcast_service', 'ok'), ('pg_monitor', 'ok'), ('sealcast_user', '42501')) v (role, outcome);
select * from finish();
rollback;

-- Tests the number of event partitions: the first process records it, all processes get it, and a change of it sends
-- redis_events back and voids the leases.
begin;
\ir scene.psql
select plan(23);

create function public.tap_nothing(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp as 'select';
select sealcast.register_handler('nothing', null, 'public.tap_nothing(sealcast.event)') \g /dev/null
create function pg_temp.claimed(holder text, configured integer) returns text language sql as $$
  select string_agg(partition::text, ' ' order by partition) filter (where mine) || ' of ' || count(*)
  from sealcast_internal.claim_partitions('default', holder, 3000, configured) $$;

-- The first number is kept.
select is((select partitions from sealcast_internal.event_partitions_state()), null, 'at first, there is no number of partitions');
select is(pg_temp.claimed('a', 4), '0 1 2 3 of 4', 'the number of the first worker is recorded');
select is(sealcast_internal.event_partition_count(9), 4, 'another process with another number gets the recorded number');
select pg_temp.claimed('b', 2), pg_temp.claimed('a', 9) \g /dev/null
select is(pg_temp.claimed('b', 2) || ', ' || pg_temp.claimed('a', 9), '2 3 of 4, 0 1 of 4', 'workers with other numbers share the recorded partitions');
select is((select partitions from sealcast_internal.event_partitions_state()), 4, 'event_partitions_state() returns the number');
select is(pg_temp.outcome('none', null, format('select sealcast_internal.claim_partitions(''default'', ''a'', 3000, %s)', n)), '22023', 'claim_partitions() refuses the number ' || n)
from (values ('0'), ('1025'), ('null')) v (n);
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_event_partitions(%s)', n)), '22023', 'set_event_partitions() refuses the number ' || n)
from (values ('0'), ('1025'), ('null')) v (n);
select is(pg_temp.outcome('sealcast_service', null, 'select sealcast.set_event_partitions(8)'), '42501', 'a sidecar may not change the number');

-- A change: the slowest partition has finished everything that was relayed before 5000.
delete from sealcast_internal.relay_log;
insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select s, b, 1, b * 1000, '1:1:', '0', 0, 0, '{}', '{}', '{}' from generate_series(0, 3) s, generate_series(2, 9) b;
update sealcast_internal.relay_leases set epoch = 5;
insert into sealcast.deliveries (transport, shard, batch, settled_at, seen_at) select 'redis_events', s, 9, now(), now() from generate_series(0, 3) s;
update sealcast_internal.event_leases set finished_to = 5000 + 1000 * partition, epoch = 10;
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.set_event_partitions(4)') || array(select batch from sealcast.deliveries where transport = 'redis_events')::text, 'ok{9,9,9,9}', 'the same number changes nothing');
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.set_event_partitions(6)'), 'ok', 'an admin may change the number');
select is(sealcast_internal.event_partition_count(4), 6, 'then all processes get the new number');
select is(array(select batch from sealcast.deliveries where transport = 'redis_events' order by shard), '{4,4,4,4}', 'redis_events goes back to what the slowest partition has finished');
select is(array(select epoch from sealcast_internal.relay_leases order by shard), '{6,6,6,6}', 'the sidecars must begin anew');
select is((select carrying from sealcast_internal.event_partitions_state()), false, 'until then, nothing is added');
select is(array(select finished_to from sealcast_internal.event_leases where group_name = 'default' order by partition), '{5000,5000,5000,5000,5000,5000}', 'no partition has finished more than the slowest');
select ok(every(epoch = 11) filter (where partition < 4) and every(epoch > 1e12) filter (where partition >= 4), 'no worker goes on under its lease') from sealcast_internal.event_leases where group_name = 'default';
select sealcast.set_event_partitions(2) \g /dev/null
select sealcast_internal.release_partitions('default', 'a'), pg_temp.claimed('b', 4) \g /dev/null
select is(pg_temp.claimed('b', 4), '0 1 of 2', 'the workers share fewer partitions');
select is(array(select partition from sealcast_internal.event_leases order by 1), '{0,1}', 'the leases of the other partitions are gone');

-- A group without progress since the oldest batch.
update sealcast_internal.event_leases set finished_to = 1500;
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.set_event_partitions(3)'), '55000', 'the number cannot change while the log does not cover what a group has yet to finish');
select * from finish();
rollback;

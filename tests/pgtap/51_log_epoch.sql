-- Tests when the log gets another epoch, and what ends with the old one.
begin;
\ir scene.psql
-- The warnings of each new epoch.
set client_min_messages = error;
select plan(39);

delete from sealcast_internal.relay_log;
insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select 1, batch, 1, 1000 * batch, '1:1:', '0', 0, 0, '{}', '{}', '{}' from generate_series(1, 10) batch;

-- Returns the epochs before and after the statement as 'same' or 'new'.
create function pg_temp.epoch_after(statement text) returns text language plpgsql as $$
declare
  before constant text := sealcast.log_epoch();
begin
  execute statement;
  return case when sealcast.log_epoch() = before then 'same' else 'new' end;
end $$;
-- What a sidecar knows of shard 1.
create function pg_temp.check_log(published bigint, newest bigint, logged_at bigint, epoch text default sealcast.log_epoch())
  returns text language sql as $$
  select pg_temp.epoch_after(format('select sealcast_internal.check_log(%L, ''{1}'', array[%s::bigint], array[%s::bigint], array[%s::bigint])',
                                    epoch, published, newest, logged_at)) $$;

select is(pg_temp.check_log(10, 10, 10000), 'same', 'a database that has every known batch keeps its epoch');
select is(pg_temp.check_log(7, 9, 9000), 'same', 'a database that has newer batches keeps its epoch');
select is(pg_temp.check_log(0, 0, 0), 'same', 'a sidecar that knows no batch changes nothing');
select is(pg_temp.epoch_after($$select sealcast_internal.check_log(sealcast.log_epoch(), '{}', '{}', '{}', '{}')$$), 'same', 'a sidecar that names no shards changes nothing');
select sealcast_internal.claim_partitions('g', 'w', 60000, 1) \g /dev/null
update sealcast_internal.event_leases set finished_to = 5000;
insert into sealcast.deliveries values ('mqtt', 1, 99, now(), now());
select is(pg_temp.check_log(11, 10, 10000), 'new', 'a published batch that the database lacks begins an epoch');
select is(finished_to, null, 'lost commits make the progress of workers void') from sealcast_internal.event_leases;
select is(batch, 10::bigint, 'a cursor beyond the newest batch goes back to it when batches were lost') from sealcast.deliveries;
select is(pg_temp.check_log(9, 11, 11000), 'new', 'a batch that the database lacks begins an epoch, also before the sidecar has published it');
select is(pg_temp.check_log(10, 10, 10001), 'new', 'another batch with the number of a known one begins an epoch');
select is(pg_temp.check_log(8, 8, 8001), 'new', 'another batch with the number of a known one begins an epoch, also below the newest batch');
select is(pg_temp.check_log(11, 11, 11000, 'old'), 'same', 'batches that a sidecar knows of another epoch begin no epoch');
delete from sealcast_internal.relay_log where batch < 9;
select is(pg_temp.check_log(5, 5, 5001), 'same', 'a known batch that retention has dropped begins no epoch');

-- The history of the server.
select is((select history from sealcast_internal.current_log),
          (select system_identifier || '/' from pg_control_system()) || left(pg_walfile_name(pg_current_wal_lsn()), 8),
          'the epoch has the cluster and the timeline');
select is(pg_temp.epoch_after($$select * from sealcast_internal.claim_shards('a', 60000)$$), 'same', 'a claim under the same history keeps the epoch');
update sealcast_internal.current_log set history = regexp_replace(history, '.$', 'F');
select is((select log_epoch from sealcast_internal.stream_access(gen_random_uuid(), null)), null, 'on another timeline, readers get no epoch before a claim has begun one');
select is(pg_temp.epoch_after($$select * from sealcast_internal.claim_shards('a', 60000)$$), 'new', 'a claim on another timeline begins an epoch');
select is((select log_epoch from sealcast_internal.stream_access(gen_random_uuid(), null)), sealcast.log_epoch(), 'after the claim, readers get the epoch that it has begun');
select is(pg_temp.epoch_after($$select * from sealcast_internal.claim_shards('a', 60000)$$), 'same', 'the second claim on a new timeline keeps the epoch');
update sealcast_internal.current_log set history = '1' || history;
select is(pg_temp.epoch_after($$select * from sealcast_internal.claim_shards('b', 60000)$$), 'new', 'a claim in another cluster begins an epoch');
select is(count(distinct log_epoch), 1::bigint, 'the claim returns the epoch that it begins')
from sealcast_internal.claim_shards('a', 60000) where log_epoch = sealcast.log_epoch();

-- A promoted server lacks a batch that the sidecar knows: this is no crash that made the progress of before void.
update sealcast_internal.event_leases set finished_to = 5000;
update sealcast.deliveries set batch = 10 where transport = 'mqtt';
update sealcast_internal.current_log set history = '1' || history;
select is(pg_temp.check_log(11, 11, 11000), 'new', 'a sidecar that reports a lost batch on another timeline begins an epoch');
select results_eq($$select finished_to, (select batch from sealcast.deliveries where transport = 'mqtt') from sealcast_internal.event_leases$$,
                  'values (5000::bigint, 10::bigint)', 'an epoch that begins because of a new timeline leaves the progress of workers and transports');
update sealcast_internal.event_leases set finished_to = null;
select ok(sealcast_internal.recovered_at() between pg_postmaster_start_time() and clock_timestamp()
          and exists (select from pg_stat_activity a where a.backend_type = 'checkpointer' and a.backend_start = sealcast_internal.recovered_at()),
          'recovered_at() is the start of the checkpointer');

-- What ends with an epoch.
update sealcast_internal.event_losses set partitions = 2;
select sealcast_internal.claim_partitions('g', 'w', 60000, 2) \g /dev/null
update sealcast_internal.event_leases set epoch = case partition when 0 then 7 else 9000000000001 end;
update sealcast_internal.relay_leases set epoch = case shard when 0 then 5 else 9000000000000 + shard end;
insert into sealcast_internal.event_partitions values (0, 1, 1);
insert into sealcast.deliveries values ('redis_events', 1, 10, now(), now()), ('mqtt', 1, 10, now(), now()) on conflict do nothing;
insert into sealcast.deliveries values ('ably', 1, 99, now(), now());
create function pg_temp.nothing(e sealcast.event) returns void language sql as '';
insert into sealcast.event_handlers (name, function, batch_size, max_attempts, timeout, group_name, registered_at)
select 'h', 'nothing', 10, 5, '1 s', 'g', to_timestamp(9.5);
select losses as losses from sealcast_internal.event_losses \gset
select is(sealcast.begin_log_epoch('abc'), 'abc', 'begin_log_epoch() returns the epoch');
select is(sealcast.log_epoch(), 'abc', 'begin_log_epoch() sets the epoch of the log');
select cmp_ok(epoch, '>', floor(extract(epoch from clock_timestamp()) * 1000)::bigint - 60000, 'begin_log_epoch() raises the epoch of a shard to the time')
from sealcast_internal.relay_leases where shard = 0;
select cmp_ok(epoch, '>', 9000000000001, 'begin_log_epoch() raises an epoch of a shard that is beyond the time') from sealcast_internal.relay_leases where shard = 1;
select cmp_ok(epoch, '>', floor(extract(epoch from clock_timestamp()) * 1000)::bigint - 60000, 'begin_log_epoch() raises the epoch of an event partition to the time')
from sealcast_internal.event_leases where partition = 0;
select is(epoch, 9000000000002, 'begin_log_epoch() raises an epoch of an event partition that is beyond the time') from sealcast_internal.event_leases where partition = 1;
select is(batch, 9::bigint, 'in a new epoch, redis_events goes back to the events that the group had finished') from sealcast.deliveries where transport = 'redis_events';
select is(batch, 10::bigint, 'a transport other than redis_events continues from its cursor in a new epoch') from sealcast.deliveries where transport = 'mqtt';
select is(batch, 10::bigint, 'the cursor of a transport goes back to the newest batch that exists') from sealcast.deliveries where transport = 'ably';

-- Redis knows newer leases than Postgres.
update sealcast_internal.event_leases set epoch = 7;
select results_eq($$select sealcast_internal.raise_partition_epochs('g', 'w', '{0,1}', '{7,6}', '{50,50}')$$, '{0}'::integer[], 'raise_partition_epochs() raises an epoch, but not one that has changed since it was read');
select results_eq('select epoch from sealcast_internal.event_leases order by partition', '{51,7}'::bigint[], 'a raised epoch is above the one that Redis knows');

-- Cursors of transports, and of streams that lag, go back to what was relayed before a time.
delete from sealcast_internal.relay_log;
delete from sealcast.deliveries;
create function pg_temp.log(batch bigint, logged_at bigint) returns void language sql as $$
  insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
  values (1, batch, 1, logged_at, '1:1:', '0', 0, 0, '{}', '{}', '{}') $$;
create function pg_temp.cursors() returns text language sql as $$
  select string_agg(concat(transport, ' ', batch), ', ' order by transport) from sealcast.deliveries $$;
select pg_temp.log(batch, 1000 * batch) from generate_series(5, 8) batch \g /dev/null
insert into sealcast.deliveries values ('above', 1, 7, now(), now()), ('below', 1, 5, now(), now()), ('none', 2, 3, now(), now());
select sealcast_internal.take_back_cursors(7000) \g /dev/null
select is(pg_temp.cursors(), 'above 6, below 5, none 0', 'a cursor goes back to the last batch before the time, an earlier cursor stays, and a shard without batches begins again');
select sealcast_internal.take_back_cursors(5000) \g /dev/null
select is(pg_temp.cursors(), 'above 4, below 4, none 0', 'a cursor goes back to before the oldest batch if every batch is too new');

select floor(extract(epoch from date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')) * 1000 as midnight \gset
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
values (:room, 1, 3, :midnight + 1000, :midnight, 1), (:room, 4, 2, :midnight + 2000, :midnight, 4),
  (:room, 6, 1, :midnight + 3000, :midnight, 20), (:cave, 1, 9, :midnight + 1000, :midnight, 6);
insert into sealcast.delivery_lags values ('above', :room, 9, ''), ('below', :room, 2, ''), ('above', :attic, 5, '');
select sealcast_internal.take_back_cursors(:midnight + 3000) \g /dev/null
select results_eq('select transport, stream_id, next_offset from sealcast.delivery_lags order by 1, 2',
                  format($$values ('above', %1$L::uuid, 6::bigint), ('above', %2$L, 1), ('below', %1$L, 2)$$, :room, :attic),
                  'a lagging stream goes back to the offset after the last one before the time, and never forward');

-- Messages that were relayed after the server recovered are delivered again, with a second to spare.
delete from sealcast_internal.relay_log;
delete from sealcast.deliveries;
select floor(extract(epoch from sealcast_internal.recovered_at()) * 1000)::bigint as recovered \gset
select pg_temp.log(1, :recovered - 2000), pg_temp.log(2, :recovered - 500), pg_temp.log(3, :recovered + 5000) \g /dev/null
insert into sealcast.deliveries values ('mqtt', 1, 3, now(), now());
select is(pg_temp.check_log(4, 3, :recovered + 5000), 'new', 'a batch that was lost in a crash begins an epoch');
select is(pg_temp.cursors(), 'mqtt 1', 'after lost commits, a cursor goes back to a second before the recovery of the server');

select * from finish();
rollback;

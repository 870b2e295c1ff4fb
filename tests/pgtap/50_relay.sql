-- Tests the relay: leases and their epochs, offsets without gaps, batches, and the rotation of the outbox segments.
begin;
\ir scene.psql
update sealcast.streams set visibility = 'public' where stream_id = :cave;
select plan(76);

-- Begins with an empty relay. The messages that this transaction queues get an older xid, because the relay takes
-- committed messages only.
delete from sealcast_internal.relay_log;
delete from sealcast_internal.outbox;
update sealcast_internal.relay_leases set holder = null, epoch = 0, lease_until = '-infinity';
delete from sealcast_internal.relay_members;
create function pg_temp.queue(stream_id uuid, messages integer, committed_by xid8) returns void language plpgsql as $$
begin
  perform pg_temp.admit(stream_id, 'chat', gen_random_uuid(), json_build_object('n', n)::text) from generate_series(1, messages) n;
  update sealcast_internal.outbox set xid = committed_by where xid = pg_current_xact_id();
end $$;
create temp table drained (call int, shard int, batch bigint, stream_id uuid, "offset" bigint, prev bigint, envelope text, public_prev bigint, redacted text, retained boolean);
create sequence pg_temp.calls;
create function pg_temp.drain(holder text, epoch bigint, max_rows integer, shards integer[] default '{0,1,2,3}') returns bigint language sql as $$
  with c as materialized (select nextval('pg_temp.calls')::int as call),
  d as (insert into drained select c.call, r.* from c, sealcast_internal.drain(holder, shards, array_fill(epoch, array[cardinality(shards)]), max_rows) r
        returning stream_id)
  select count(stream_id) from d $$;
-- Sets the position of all shards, as if the last drain had seen just this snapshot.
create function pg_temp.stand_at(seen pg_snapshot) returns void language sql as $$
  update sealcast_internal.relay_log r set seen = stand_at.seen, seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0
  where r.batch = (select max(n.batch) from sealcast_internal.relay_log n where n.shard = r.shard) $$;

-- Leases.
select results_eq($$select shard, epoch, mine, batch from sealcast_internal.claim_shards('a', 60000)$$,
                  $$select n, 1::bigint, true, 0::bigint from generate_series(0, 3) n$$, 'the first sidecar gets all shards');
select results_eq($$select shard, epoch, mine from sealcast_internal.claim_shards('b', 60000)$$,
                  $$select n, 1::bigint, false from generate_series(0, 3) n$$, 'a second sidecar sees the leases of the first and gets none');
select results_eq($$select distinct epoch, mine from sealcast_internal.claim_shards('a', 60000)$$, $$values (1::bigint, true)$$, 'renewing a lease keeps its epoch');
update sealcast_internal.relay_leases set lease_until = clock_timestamp() - interval '1 s' where shard = 2;
select results_eq($$select shard, epoch, mine from sealcast_internal.claim_shards('b', 60000)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 2, true), (3, 1, false)$$, 'an expired lease gets a new holder and a new epoch');
select sealcast_internal.release_shards('b') \g /dev/null
select results_eq($$select shard, epoch, mine from sealcast_internal.claim_shards('c', 60000)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 3, true), (3, 1, false)$$, 'a released shard is free at once');
select is(array_agg(holder order by holder), '{a,c}', 'a sidecar that releases its shards is no longer a member') from sealcast_internal.relay_members;
update sealcast_internal.relay_leases set backend_start = backend_start - interval '1 s' where shard = 1;
select results_eq($$select shard, epoch, mine from sealcast_internal.claim_shards('a', 60000)$$,
                  $$values (0, 1::bigint, true), (1, 2, true), (2, 3, false), (3, 1, true)$$, 'a sidecar that claims on another connection gets a new epoch');
select throws_ok($$select sealcast_internal.claim_shards('', 3000)$$, '22023', null, 'an empty holder is an error');
select throws_ok($$select sealcast_internal.claim_shards(null, 3000)$$, '22023', null, 'a null holder is an error');
select throws_ok(format('select sealcast_internal.claim_shards(''a'', %s)', ms), '22023', null, format('a lease of %s ms is an error', ms)) from unnest('{99,600001}'::int[]) ms;
select lives_ok(format('select sealcast_internal.claim_shards(''a'', %s)', ms), format('a lease of %s ms is valid', ms)) from unnest('{100,600000}'::int[]) ms;
select throws_ok($$select sealcast_internal.claim_shards('a', null)$$, '22023', null, 'a null lease is an error');
select throws_ok($$select sealcast_internal.claim_shards('a', 3000, null)$$, '22023', null, 'null transports are an error');

-- Leases and transports: the sidecar with the most transports leads.
create function pg_temp.claimed(holder text, transports text[]) returns bigint language sql as $$
  select count(*) filter (where mine) from sealcast_internal.claim_shards(holder, 60000, transports) $$;
update sealcast_internal.relay_leases set holder = null, lease_until = '-infinity';
delete from sealcast_internal.relay_members;
select is(pg_temp.claimed('few', '{sse}'), 4::bigint, 'a sidecar leads with the transports that it has');
select is(pg_temp.claimed('many', '{sse,mqtt}'), 0::bigint, 'a lease is not taken from another sidecar');
select is(pg_temp.claimed('few', '{sse}'), 0::bigint, 'a sidecar releases its leases while a live sidecar has more transports');
select is(pg_temp.claimed('many', '{sse,mqtt}'), 4::bigint, 'the sidecar with more transports takes the released leases');
select is(pg_temp.claimed('as many', '{sse,ably}'), 0::bigint, 'a sidecar with as many transports leaves the leases alone');
select is(pg_temp.claimed('many', '{sse,mqtt}'), 4::bigint, 'a sidecar keeps its leases while no sidecar has more transports');
update sealcast_internal.relay_leases set lease_until = clock_timestamp() - interval '1 s';
update sealcast_internal.relay_members set seen_at = clock_timestamp() - interval '61 s' where holder <> 'few';
select is(pg_temp.claimed('few', '{sse}'), 4::bigint, 'a sidecar that was not seen for the time of a lease takes no precedence');
delete from sealcast_internal.relay_members;
update sealcast_internal.relay_leases set holder = 'a', epoch = 1, lease_until = now() + interval '1 h';

-- An empty outbox.
select is(pg_temp.drain('a', 1, 10), 0::bigint, 'an empty outbox gives no frames');
select is((select count(*) from sealcast_internal.relay_log), 0::bigint, 'an empty drain adds nothing to the log');

-- Offsets.
select pg_temp.queue(:room, 3, '11') \g /dev/null
select pg_temp.queue(:cave, 2, '12') \g /dev/null
select pg_temp.queue(:room, 2, '13') \g /dev/null
select is(pg_temp.drain('x', 1, 10), 0::bigint, 'a sidecar that is not the holder gets nothing');
select is(pg_temp.drain('a', 2, 10), 0::bigint, 'a wrong epoch gets nothing');
select is(pg_temp.drain('a', 1, 4), 4::bigint, 'a drain ends with the run that brings it to max_rows messages');
select is(pg_temp.drain('a', 1, 4), 3::bigint, 'the next drain returns the messages that the first left');
select is(pg_temp.drain('a', 1, 4), 0::bigint, 'a drain after the last message returns nothing');
select results_eq($$select call, stream_id, "offset", prev from drained where stream_id is not null$$,
  format($$values (4, %1$L::uuid, 1::bigint, 0::bigint), (4, %1$L, 2, 1), (4, %1$L, 3, 2), (4, %2$L, 1, 0), (5, %2$L, 2, 1), (5, %1$L, 4, 3), (5, %1$L, 5, 4)$$,
         :room, :cave), 'offsets begin at 1 without gaps, in the order of sending, whatever the sizes of the drains');
select is((select count(*) from drained d where stream_id is not null and sealcast.verify_detail(envelope::json) <> 'ok'), 0::bigint, 'each envelope that drain() returns verifies');
select is((select array_agg(distinct concat(call, ':', shard, ':', batch) order by concat(call, ':', shard, ':', batch)) from drained where call >= 4),
          array['4:0:1', '4:1:1', '4:2:1', '4:3:1', '5:0:2', '5:1:2', '5:2:2', '5:3:2'], 'each drain is a batch of every shard');
select is((select count(*) from drained where shard <> sealcast_internal.shard_of(stream_id)), 0::bigint, 'each stream is drained in its shard');
select is((select array_agg(shard order by shard) from drained where call = 4 and stream_id is null), array[0, 3], 'a shard without messages has an empty batch');
select results_eq($$select shard, batch from sealcast_internal.claim_shards('a', 60000)$$, $$select n, 2::bigint from generate_series(0, 3) n$$, 'claim_shards() returns the newest batch');

-- Late and unordered commits. Transaction 21 was running when 20 had been relayed, and sent its message after 22 had.
select pg_temp.stand_at('21:22:21') \g /dev/null
select pg_temp.queue(:room, 1, '22') \g /dev/null
select pg_temp.queue(:room, 1, '21') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 2::bigint, 'a message of a transaction that was running at the last position is not lost');
select results_eq($$select "offset", (envelope::json ->> 'ts')::bigint > 0 from drained where call = 7 and stream_id is not null$$,
                  $$values (6::bigint, true), (7, true)$$, 'messages of transactions that committed late get the next offsets');
select is((select array_agg(o.xid::text order by l."offset") from sealcast.stream_log l join sealcast_internal.outbox o on o.first_id = l.message_id
           where l.stream_id = :room and l."offset" > 5), array['22', '21'], 'within a batch, offsets follow the order of message_id');
select is(pg_temp.drain('a', 1, 100), 0::bigint, 'a late message is relayed once');
select pg_temp.stand_at('30:30:') \g /dev/null

-- A message of a transaction that is still running.
select pg_temp.admit(:room, 'chat', :guest, '{}') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 0::bigint, 'a message that is not committed is not relayed');
select pg_temp.queue(:room, 0, '31') \g /dev/null
select is(pg_temp.drain('a', 1, 1), 1::bigint, 'a message is relayed after its transaction has committed');
select is(sealcast_internal.last_offset(:room), 8::bigint, 'last_offset() is the newest offset');

-- Shards with different positions.
update sealcast_internal.relay_leases set holder = 'b', epoch = 5 where shard = sealcast_internal.shard_of(:cave);
select pg_temp.queue(:room, 2, '41') \g /dev/null
select pg_temp.queue(:cave, 2, '41') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 2::bigint, 'a former holder of one shard gets the messages of its other shards');
select is((select array_agg(distinct stream_id) from drained where call = currval('pg_temp.calls') and stream_id is not null), array[:room::uuid],
          'a former holder gets no message of the lost shard');
select is(pg_temp.drain('b', 5, 100, array[sealcast_internal.shard_of(:cave)]), 2::bigint, 'the new holder gets the messages of the shard');
select is((select array_agg("offset" order by "offset") from drained where stream_id = :cave), array[1, 2, 3, 4]::bigint[], 'the new holder continues the offsets of the former one');
select throws_ok($$select sealcast_internal.drain('a', '{0}', '{1}', 0)$$, '22023', null, 'max_rows of 0 is an error');
select throws_ok($$select sealcast_internal.drain('a', '{0}', '{1}', null)$$, '22023', null, 'a null max_rows is an error');

-- Other sidecars read the same batches with tail().
create temp table tailed as select * from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 1000);
select bag_eq('select shard, batch, stream_id, "offset", prev, envelope from drained where stream_id is not null',
              'select shard, batch, stream_id, "offset", prev, envelope from tailed where stream_id is not null', 'tail() returns the frames that drain() returned');
select bag_eq('select distinct shard, batch from drained where stream_id is null',
              'select shard, batch from tailed where stream_id is null', 'tail() returns the batches without messages');
select is((select count(*) from sealcast_internal.tail('{1}', '{0}', 1) where batch <> 1), 0::bigint, 'tail() returns at most max_batches');
select results_eq($$select distinct batch from sealcast_internal.tail('{1}', '{1}', 1)$$, $$values (2::bigint)$$, 'tail() begins after the given batch');

-- Settling.
select sealcast_internal.settle('sse', '{0,1}', '{1,1}', '{2,4}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'sse' order by 1$$, $$values (0, 2::bigint), (1, 4)$$, 'settle() records the batch of each shard');
select sealcast_internal.settle('sse', '{0,1}', '{1,9}', '{1,5}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'sse' order by 1$$, $$values (0, 2::bigint), (1, 4)$$,
                  'settle() never goes back and ignores another epoch');

-- A clock that is stepped back.
update sealcast_internal.relay_log set logged_at = logged_at + 3600000 where shard = sealcast_internal.shard_of(:room);
select pg_temp.stand_at('50:50:') \g /dev/null
select pg_temp.queue(:room, 1, '51') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 1::bigint, 'a drain works after the clock was stepped back');
select is((select logged_at from sealcast_internal.relay_log where shard = sealcast_internal.shard_of(:room) order by batch desc limit 1),
          (select max(logged_at) from sealcast_internal.relay_log), 'logged_at never goes back');

-- Rotation of the segments.
create function pg_temp.segment() returns bigint language sql as 'select last_value from sealcast_internal.outbox_segment';
select setval('sealcast_internal.outbox_segment', 0) \g /dev/null
truncate sealcast_internal.outbox;
select pg_temp.stand_at('60:60:') \g /dev/null
select pg_temp.queue(:room, 2, '61') \g /dev/null
select sealcast_internal.rotate_outbox() \g /dev/null
select is(pg_temp.segment(), 0::bigint, 'a small segment of the outbox stays the current one');
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is(pg_temp.segment(), 1::bigint, 'a large segment is followed by the next one');
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast_internal.outbox_0), 2::bigint, 'a segment with messages that are not relayed is not truncated');
select pg_temp.queue(:room, 1, '62') \g /dev/null
select is((select count(*) from sealcast_internal.outbox_1), 1::bigint, 'new rows go to the new segment');
select is(pg_temp.drain('a', 1, 2), 2::bigint, 'two of three messages are relayed');
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast_internal.outbox_0), 2::bigint, 'a segment is not truncated while a drain has not reached its target');
select is(pg_temp.drain('a', 1, 2), 1::bigint, 'a message that max_rows held back is relayed by the next drain');
select pg_temp.drain('a', 1, 2) \g /dev/null
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast_internal.outbox_0), 0::bigint, 'a segment is truncated once its shards have passed it');
select is(sealcast_internal.last_offset(:room), 14::bigint, 'no offset was given twice or left out');
select pg_temp.stand_at('63:63:') \g /dev/null
select pg_temp.queue(:room, 1, '63') \g /dev/null
select is(pg_temp.drain('a', 1, 10), 1::bigint, 'a message in the third segment is relayed');
select sealcast_internal.claim_shards('a', 60000) \g /dev/null
select is((select count(*) from sealcast_internal.outbox_2), 1::bigint, 'the current segment is not truncated, although all its messages are relayed');
select setval('sealcast_internal.outbox_segment', 0) \g /dev/null
select sealcast_internal.claim_shards('a', 60000) \g /dev/null
select is((select count(*) from sealcast_internal.outbox_2), 0::bigint, 'the holder of shard 0 truncates relayed segments when it claims');
select pg_temp.stand_at('64:64:'), setval('sealcast_internal.outbox_segment', 1) \g /dev/null
select pg_temp.queue(:room, 1, '64') \g /dev/null
select setval('sealcast_internal.outbox_segment', 0) \g /dev/null
select pg_temp.queue(:room, 1, '65') \g /dev/null
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is(pg_temp.segment(), 2::bigint, 'a next segment that is not empty is passed over');
select pg_temp.queue(:room, 1, '66') \g /dev/null
select sealcast_internal.rotate_outbox(0) \g /dev/null
select is(pg_temp.segment(), 2::bigint, 'the current segment stays while no other one is empty');
select is(pg_temp.drain('a', 1, 10), 3::bigint, 'messages in all three segments are relayed');

-- A run of several messages, in two batches.
select pg_temp.stand_at('67:67:') \g /dev/null
select (sealcast_internal.relay_position(sealcast_internal.shard_of(:room)::smallint)).batch as before \gset
select count(v) from unnest('{3,2}'::int[]) n, lateral sealcast.admit(
  array_fill(:room::uuid, array[n]), array_fill('chat'::text, array[n]), array_fill(:guest::uuid, array[n]),
  array(select gen_random_uuid() from generate_series(1, n)), array_fill('{}'::text, array[n])) v \g /dev/null
update sealcast_internal.outbox set xid = '67' where xid = pg_current_xact_id();
select pg_temp.drain('a', 1, 3), pg_temp.drain('a', 1, 3) \g /dev/null
select is(array_agg(r.messages order by r."offset"), '{3,2}', 'the messages of one call are one run per batch')
from (select * from sealcast.stream_runs where stream_id = :room order by "offset" desc limit 2) r;
select results_eq(format('select * from sealcast_internal.tail(array[sealcast_internal.shard_of(%L)], ''{%s}'', 10)', :room, :before),
                  format('select shard, batch, stream_id, "offset", prev, envelope, public_prev, redacted, retained from drained where shard = sealcast_internal.shard_of(%L) and batch > %s order by batch, "offset"',
                         :room, :before), 'tail() returns the frames of a run in their order, with their own offsets and envelopes');

-- The clock was ahead when the stream was last drained, which the log of the shard does not show.
update sealcast.stream_runs set logged_at = logged_at + 7200000
where stream_id = :room and "offset" = (select max("offset") from sealcast.stream_runs where stream_id = :room);
select pg_temp.stand_at('68:68:'), pg_temp.queue(:room, 1, '68') \g /dev/null
select pg_temp.drain('a', 1, 10) \g /dev/null
select is(array_agg(logged_at order by "offset"), array_agg(logged_at order by logged_at), 'within a stream, logged_at never goes back')
from sealcast.stream_runs where stream_id = :room;

-- Rows of the log in a DEFAULT partition may be older or newer than those of the days.
create table sealcast.stream_runs_default partition of sealcast.stream_runs default;
select pg_temp.maintain() \g /dev/null
select floor(extract(epoch from clock_timestamp())) * 1000 as today \gset
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
values (:attic, 1, 3, 500, 0, 1), (:attic, 4, 2, :today, 0, 4), (:nowhere, 1, 3, :today, 0, 1), (:nowhere, 4, 2, 500, 0, 4);
select is(sealcast_internal.last_offset(stream_id), 5::bigint, format('last_offset() is the newest offset when the DEFAULT partition has the %s rows', what))
from (values (:attic::uuid, 'older'), (:nowhere, 'newer')) v (stream_id, what);
select * from finish();
rollback;

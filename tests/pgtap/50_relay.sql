-- The relay: leases and their epochs, offsets without gaps, batches, and the outbox's rotation.
begin;
\ir scene.psql
select plan(52);

-- A relay that has not begun. What this transaction queues gets an older xid, since only what is committed is relayed.
delete from sealcast.relay_log;
delete from sealcast.outbox;
update sealcast.relay_leases set holder = null, epoch = 0, lease_until = '-infinity';
delete from sealcast.relay_members;
create function pg_temp.queue(stream_id uuid, messages integer, committed_by xid8) returns void language plpgsql as $$
begin
  perform pg_temp.admit(stream_id, 'chat', gen_random_uuid(), json_build_object('n', n)::text) from generate_series(1, messages) n;
  update sealcast.outbox set xid = committed_by where xid = pg_current_xact_id();
end $$;
create temp table drained (call int, shard int, batch bigint, stream_id uuid, "offset" bigint, prev bigint, envelope text, public_prev bigint);
create sequence pg_temp.calls;
create function pg_temp.drain(holder text, epoch bigint, max_rows integer, shards integer[] default '{0,1,2,3}') returns bigint language sql as $$
  with c as materialized (select nextval('pg_temp.calls')::int as call),
  d as (insert into drained select c.call, r.* from c, sealcast.drain(holder, shards, array_fill(epoch, array[cardinality(shards)]), max_rows) r
        returning stream_id)
  select count(stream_id) from d $$;
-- As if the last drain had seen just this.
create function pg_temp.stand_at(seen pg_snapshot) returns void language sql as $$
  update sealcast.relay_log r set seen = stand_at.seen, seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0
  where r.batch = (select max(n.batch) from sealcast.relay_log n where n.shard = r.shard) $$;

-- Leases.
select results_eq($$select * from sealcast.claim_shards('a', 60000)$$,
                  $$select n, 1::bigint, true, 0::bigint from generate_series(0, 3) n$$, 'the first takes all shards');
select results_eq($$select shard, epoch, mine from sealcast.claim_shards('b', 60000)$$,
                  $$select n, 1::bigint, false from generate_series(0, 3) n$$, 'the second sees whose they are not');
select results_eq($$select distinct epoch, mine from sealcast.claim_shards('a', 60000)$$, $$values (1::bigint, true)$$, 'renewing changes no epoch');
update sealcast.relay_leases set lease_until = clock_timestamp() - interval '1 s' where shard = 2;
select results_eq($$select shard, epoch, mine from sealcast.claim_shards('b', 60000)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 2, true), (3, 1, false)$$, 'what expired changes hands and epoch');
select sealcast.release_shards('b') \g /dev/null
select results_eq($$select shard, epoch, mine from sealcast.claim_shards('c', 60000)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 3, true), (3, 1, false)$$, 'what is released is free at once');
select throws_ok($$select sealcast.claim_shards('', 3000)$$, '22023');
select throws_ok($$select sealcast.claim_shards(null, 3000)$$, '22023');
select throws_ok($$select sealcast.claim_shards('a', 5)$$, '22023');
select throws_ok($$select sealcast.claim_shards('a', null)$$, '22023');
update sealcast.relay_leases set holder = 'a', epoch = 1, lease_until = now() + interval '1 h';

-- Nothing yet.
select is(pg_temp.drain('a', 1, 10), 0::bigint, 'nothing to drain');
select is((select count(*) from sealcast.relay_log), 0::bigint, 'leaves no trace');

-- Numbers.
select pg_temp.queue(:room, 3, '11') \g /dev/null
select pg_temp.queue(:cave, 2, '12') \g /dev/null
select pg_temp.queue(:room, 2, '13') \g /dev/null
select is(pg_temp.drain('x', 1, 10), 0::bigint, 'a stranger gets nothing');
select is(pg_temp.drain('a', 2, 10), 0::bigint, 'nor does a wrong epoch');
select is(pg_temp.drain('a', 1, 4), 4::bigint, 'four of seven');
select is(pg_temp.drain('a', 1, 4), 3::bigint, 'then the rest');
select is(pg_temp.drain('a', 1, 4), 0::bigint, 'then nothing');
select results_eq($$select call, stream_id, "offset", prev from drained where stream_id is not null$$,
  format($$values (4, %1$L::uuid, 1::bigint, 0::bigint), (4, %1$L, 2, 1), (4, %1$L, 3, 2), (4, %2$L, 1, 0), (5, %2$L, 2, 1), (5, %1$L, 4, 3), (5, %1$L, 5, 4)$$,
         :room, :cave), 'offsets from 1 without gaps, in the order of sending, whatever the chunks');
select is((select count(*) from drained d where stream_id is not null and sealcast.verify_detail(envelope::json) <> 'ok'), 0::bigint, 'the envelopes verify');
select is((select array_agg(distinct concat(call, ':', shard, ':', batch) order by concat(call, ':', shard, ':', batch)) from drained where call >= 4),
          array['4:0:1', '4:1:1', '4:2:1', '4:3:1', '5:0:2', '5:1:2', '5:2:2', '5:3:2'], 'each drain is a batch of every shard');
select is((select count(*) from drained where shard <> sealcast.shard_of(stream_id)), 0::bigint, 'each stream in its shard');
select is((select array_agg(shard order by shard) from drained where call = 4 and stream_id is null), array[0, 3], 'a shard that had nothing says so');
select results_eq($$select shard, batch from sealcast.claim_shards('a', 60000)$$, $$select n, 2::bigint from generate_series(0, 3) n$$, 'claiming tells the newest batch');

-- Late and unordered commits. 21 was running when 20 had been relayed, and sent its message after 22 had.
select pg_temp.stand_at('21:22:21') \g /dev/null
select pg_temp.queue(:room, 1, '22') \g /dev/null
select pg_temp.queue(:room, 1, '21') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 2::bigint, 'who was running at the last position is not lost');
select results_eq($$select "offset", (envelope::json ->> 'ts')::bigint > 0 from drained where call = 7 and stream_id is not null$$,
                  $$values (6::bigint, true), (7, true)$$, 'and numbered next');
select is((select array_agg(o.xid::text order by l."offset") from sealcast.stream_log l join sealcast.outbox o on o.first_id = l.message_id
           where l.stream_id = :room and l."offset" > 5), array['22', '21'], 'by message_id within a batch: sent later, later');
select is(pg_temp.drain('a', 1, 100), 0::bigint, 'once');
select pg_temp.stand_at('30:30:') \g /dev/null

-- What is rolled back or still running is not relayed.
select pg_temp.admit(:room, 'chat', :guest, '{}') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 0::bigint, 'what is not committed is not relayed');
select pg_temp.queue(:room, 0, '31') \g /dev/null
select is(pg_temp.drain('a', 1, 1), 1::bigint, 'once it is, it is');
select is(sealcast.last_offset(:room), 8::bigint, 'the newest offset');

-- Shards that stand at different positions.
update sealcast.relay_leases set holder = 'b', epoch = 5 where shard = sealcast.shard_of(:cave);
select pg_temp.queue(:room, 2, '41') \g /dev/null
select pg_temp.queue(:cave, 2, '41') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 2::bigint, 'the former holder gets what is still its own');
select is((select array_agg(distinct stream_id) from drained where call = currval('pg_temp.calls') and stream_id is not null), array[:room::uuid],
          'and only that');
select is(pg_temp.drain('b', 5, 100, array[sealcast.shard_of(:cave)]), 2::bigint, 'the successor goes on');
select is((select array_agg("offset" order by "offset") from drained where stream_id = :cave), array[1, 2, 3, 4]::bigint[], 'where it stopped');
select throws_ok($$select sealcast.drain('a', '{0}', '{1}', 0)$$, '22023');
select throws_ok($$select sealcast.drain('a', '{0}', '{1}', null)$$, '22023');

-- Others read the same from the log.
create temp table tailed as select * from sealcast.tail('{0,1,2,3}', '{0,0,0,0}', 1000);
select bag_eq('select shard, batch, stream_id, "offset", prev, envelope from drained where stream_id is not null',
              'select shard, batch, stream_id, "offset", prev, envelope from tailed where stream_id is not null', 'tail() gives what drain() gave');
select bag_eq('select distinct shard, batch from drained where stream_id is null',
              'select shard, batch from tailed where stream_id is null', 'with the empty batches');
select is((select count(*) from sealcast.tail('{1}', '{0}', 1) where batch <> 1), 0::bigint, 'as many batches as asked for');
select results_eq($$select distinct batch from sealcast.tail('{1}', '{1}', 1)$$, $$values (2::bigint)$$, 'after the one given');

-- Settling.
select sealcast.settle('sse', '{0,1}', '{1,1}', '{2,4}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'sse' order by 1$$, $$values (0, 2::bigint), (1, 4)$$, 'settled');
select sealcast.settle('sse', '{0,1}', '{1,9}', '{1,5}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'sse' order by 1$$, $$values (0, 2::bigint), (1, 4)$$,
                  'never back, and never by another epoch');

-- A clock that is stepped back.
update sealcast.relay_log set logged_at = logged_at + 3600000 where shard = sealcast.shard_of(:room);
select pg_temp.stand_at('50:50:') \g /dev/null
select pg_temp.queue(:room, 1, '51') \g /dev/null
select is(pg_temp.drain('a', 1, 100), 1::bigint, 'drained after it');
select is((select logged_at from sealcast.relay_log where shard = sealcast.shard_of(:room) order by batch desc limit 1),
          (select max(logged_at) from sealcast.relay_log), 'logged no earlier than before');

-- Rotation.
create function pg_temp.segment() returns bigint language sql as 'select last_value from sealcast.outbox_segment';
select setval('sealcast.outbox_segment', 0) \g /dev/null
truncate sealcast.outbox;
select pg_temp.stand_at('60:60:') \g /dev/null
select pg_temp.queue(:room, 2, '61') \g /dev/null
select sealcast.rotate_outbox() \g /dev/null
select is(pg_temp.segment(), 0::bigint, 'a small segment stays');
select sealcast.rotate_outbox(0) \g /dev/null
select is(pg_temp.segment(), 1::bigint, 'a grown one is left for the next');
select sealcast.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast.outbox_0), 2::bigint, 'what is not relayed is not truncated');
select pg_temp.queue(:room, 1, '62') \g /dev/null
select is((select count(*) from sealcast.outbox_1), 1::bigint, 'new rows go to the next');
select is(pg_temp.drain('a', 1, 2), 2::bigint, 'two of three relayed');
select sealcast.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast.outbox_0), 2::bigint, 'as long as the window is open, nothing is truncated');
select is(pg_temp.drain('a', 1, 2), 1::bigint, 'the third');
select pg_temp.drain('a', 1, 2) \g /dev/null
select sealcast.rotate_outbox(0) \g /dev/null
select is((select count(*) from sealcast.outbox_0), 0::bigint, 'once its shard has passed it, it is');
select is(sealcast.last_offset(:room), 14::bigint, 'no offset was given twice or left out');
select * from finish();
rollback;

-- Tests deliveries: cursors, streams that lag, and dead letters. Only the leader of a shard may record anything.
begin;
\ir scene.psql
select plan(34);

update sealcast_internal.relay_leases set holder = 'a', epoch = 3, lease_until = now() + interval '1 h';
\set mine '''{0,1,2,3}'', ''{3,3,3,3}'''
\set others '''{0,1,2,3}'', ''{2,2,2,2}'''

-- Cursors.
select results_eq($$select * from sealcast_internal.begin_delivery('post', '{0,1}', '{3,3}', '{7,8}') order by 1$$,
                  $$values (0, 7::bigint), (1, 8)$$, 'a new transport begins after the given batches');
select results_eq($$select * from sealcast_internal.begin_delivery('post', '{0,1}', '{3,3}', '{20,20}') order by 1$$,
                  $$values (0, 7::bigint), (1, 8)$$, 'a known transport continues from its cursor');
select is_empty($$select * from sealcast_internal.begin_delivery('post', '{2}', '{2}', '{9}')$$, 'a wrong epoch begins nothing');
select sealcast_internal.settle('post', '{0,1}', '{3,2}', '{9,9}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'post' order by 1$$,
                  $$values (0, 9::bigint), (1, 8)$$, 'only the leader settles');
select sealcast_internal.settle('post', '{0}', '{3}', '{5}') \g /dev/null
select is((select batch from sealcast.deliveries where transport = 'post' and shard = 0), 9::bigint, 'a cursor never goes back');

-- Streams that lag.
select sealcast_internal.set_lag('post', :mine, array[:room, :cave]::uuid[], '{5,9}', '{slow,refused}') \g /dev/null
select results_eq(format($$select stream_id, shard, next_offset from sealcast_internal.lagging_streams('post', '{0,1,2,3}') where stream_id = %L$$, :room),
                  format($$values (%1$L::uuid, sealcast_internal.shard_of(%1$L), 5::bigint)$$, :room), 'a stream that lags is listed with its next offset');
select is((select count(*) from sealcast_internal.lagging_streams('post', '{}')), 0::bigint, 'without shards, no stream is listed');
select sealcast_internal.set_lag('post', :mine, array[:room]::uuid[], '{8}', '{slower}') \g /dev/null
select sealcast_internal.set_lag('post', :mine, array[:room]::uuid[], '{2}', '{slower}') \g /dev/null
select results_eq(format($$select next_offset, reason from sealcast.delivery_lags where stream_id = %L$$, :room),
                  $$values (8::bigint, 'slower')$$, 'the cursor of a stream that lags moves forward, and never back');
select sealcast_internal.set_lag('post', :others, array[:room, :cave]::uuid[], '{10,0}', '{x,x}') \g /dev/null
select results_eq($$select next_offset from sealcast.delivery_lags order by 1$$, $$values (8::bigint), (9)$$, 'another epoch changes no lag');
select sealcast_internal.set_lag('post', :mine, array[:cave]::uuid[], '{0}', array['']) \g /dev/null
select results_eq($$select stream_id from sealcast.delivery_lags$$, format($$values (%L::uuid)$$, :room), 'a stream that has caught up lags no more');

-- Dead letters of relayed messages.
select is(pg_temp.admit(:room, 'chat', :guest, '{"type":"chat","content":"one"}'), '200', 'a message is admitted');
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, 4, 1, ts, ts, message_id from sealcast.messages where stream_id = :room;
select sealcast_internal.bury('post', :others, :room, 4, 'too large', 1) \g /dev/null
select is((select count(*) from sealcast.dead_letters), 0::bigint, 'another epoch records no dead letter');
select sealcast_internal.bury('post', :mine, :room, 4, 'too large', 1) \g /dev/null
select sealcast_internal.bury('mail', :mine, :room, 4, 'refused', 7) \g /dev/null
select results_eq($$select transport, "offset", reason, attempts, replay from sealcast.dead_letters order by 1$$,
                  $$values ('mail', 4::bigint, 'refused', 7, false), ('post', 4, 'too large', 1, false)$$, 'each transport has its own dead letter');
select is_empty($$select * from sealcast_internal.dead_letters_to_replay('post', '{0,1,2,3}', 10)$$, 'a dead letter is not replayed by itself');
select is(sealcast.replay_dead_letters('post'), 1::bigint, 'a dead letter can be marked for replay');
select is(sealcast.replay_dead_letters('post'), 0::bigint, 'a dead letter is marked once');
select results_eq($$select stream_id, shard, "offset", prev, envelope from sealcast_internal.dead_letters_to_replay('post', '{0,1,2,3}', 10)$$,
  format($$select stream_id, sealcast_internal.shard_of(stream_id), 4::bigint, 3::bigint, sealcast.envelope(m) from sealcast.messages m where stream_id = %L$$, :room),
  'a marked dead letter is returned with its message');
select is_empty($$select * from sealcast_internal.dead_letters_to_replay('mail', '{0,1,2,3}', 10)$$, 'only the dead letters of the transport are returned');
select sealcast_internal.bury('post', :mine, :room, 4, 'still too large', 2) \g /dev/null
select results_eq($$select reason, attempts, replay from sealcast.dead_letters where transport = 'post'$$,
                  $$values ('still too large', 3, false)$$, 'a failed replay counts its attempts and removes the mark');
select sealcast_internal.revive('post', :room, 4) \g /dev/null
select is((select count(*) from sealcast.dead_letters where transport = 'post'), 1::bigint, 'a dead letter without the mark is not removed');
select is(sealcast.replay_dead_letters(stream_id => :room, "offset" => 4), 2::bigint, 'dead letters of all transports can be marked');
select sealcast_internal.revive('post', :room, 4) \g /dev/null
select results_eq($$select transport from sealcast.dead_letters$$, $$values ('mail')$$, 'a dead letter is removed after its replay was delivered');
select is(sealcast.drop_dead_letters('mail', :cave), 0::bigint, 'dead letters of another stream are not dropped');
select is(sealcast.drop_dead_letters('mail', :room, 4), 1::bigint, 'a dead letter can be dropped');

-- The status of deliveries.
insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select 0, n, 3, 0, '1:1:', '0', 0, 0, array[:room]::uuid[], array[n * 10], array[n * 10 + 9] from generate_series(8, 11) n
on conflict do nothing;
select results_eq($$select owed, lagging_streams, owed_to_lagging, dead_letters from sealcast.delivery_status where transport = 'post'$$,
                  $$values (20::bigint, 1::bigint, 0::bigint, 0::bigint)$$, 'delivery_status counts the messages that are not delivered yet');

-- Transports that no sidecar delivers.
delete from sealcast.deliveries where transport = 'mail';
delete from sealcast_internal.relay_members;
insert into sealcast_internal.relay_members values ('a', clock_timestamp(), '{sse,post}');
select is_empty('select * from sealcast_internal.uncarried()', 'a transport of the leader is carried');
update sealcast_internal.relay_members set transports = '{sse}';
select results_eq('select * from sealcast_internal.uncarried()', $$values ('post', '{0,1,2,3}'::integer[])$$, 'a transport with a cursor is uncarried when the leader lacks it');
select is(uncarried_shards, '{0,1,2,3}', 'delivery_status shows the uncarried shards') from sealcast.delivery_status where transport = 'post';
insert into sealcast_internal.relay_members values ('b', clock_timestamp(), '{ably}');
select results_eq('select transport from sealcast_internal.uncarried()', $$values ('ably'), ('post')$$, 'a transport of a sidecar that cannot get the lead is uncarried');
update sealcast_internal.relay_members set transports = '{sse,post}' where holder = 'b';
select is_empty('select * from sealcast_internal.uncarried()', 'a leader that is about to give way does not count');
update sealcast_internal.relay_members set seen_at = clock_timestamp() - interval '11 s', transports = '{ably,sse}' where holder = 'b';
select results_eq('select transport from sealcast_internal.uncarried()', $$values ('post')$$, 'a sidecar that is gone counts for nothing');
delete from sealcast_internal.relay_log where shard = 0 and batch < 8;
select pg_temp.maintain() \g /dev/null
select is((select min(batch) from sealcast_internal.relay_log where shard = 0), 10::bigint, 'maintain() keeps the batches that are not delivered yet');
select sealcast.forget_transport('post') \g /dev/null
select is((select count(*) from sealcast.deliveries where transport = 'post') + (select count(*) from sealcast.delivery_lags), 0::bigint, 'forget_transport() deletes the cursors');
select is_empty('select * from sealcast_internal.uncarried()', 'a forgotten transport is not missed');
select * from finish();
rollback;

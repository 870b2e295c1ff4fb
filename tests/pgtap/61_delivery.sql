-- Deliveries: where a transport goes on, streams that lag, dead letters; and that only a shard's leader records anything.
begin;
\ir scene.psql
select plan(27);

update sealcast.relay_leases set holder = 'a', epoch = 3, lease_until = now() + interval '1 h';
\set mine '''{0,1,2,3}'', ''{3,3,3,3}'''
\set others '''{0,1,2,3}'', ''{2,2,2,2}'''

-- Where a transport goes on.
select results_eq($$select * from sealcast.begin_delivery('post', '{0,1}', '{3,3}', '{7,8}') order by 1$$,
                  $$values (0, 7::bigint), (1, 8)$$, 'a new transport begins with what comes next');
select results_eq($$select * from sealcast.begin_delivery('post', '{0,1}', '{3,3}', '{20,20}') order by 1$$,
                  $$values (0, 7::bigint), (1, 8)$$, 'a known one where it was');
select is_empty($$select * from sealcast.begin_delivery('post', '{2}', '{2}', '{9}')$$, 'who does not lead begins nothing');
select sealcast.settle('post', '{0,1}', '{3,2}', '{9,9}') \g /dev/null
select results_eq($$select shard::int, batch from sealcast.deliveries where transport = 'post' order by 1$$,
                  $$values (0, 9::bigint), (1, 8)$$, 'settled by the leader alone');
select sealcast.settle('post', '{0}', '{3}', '{5}') \g /dev/null
select is((select batch from sealcast.deliveries where transport = 'post' and shard = 0), 9::bigint, 'never backwards');

-- Streams that lag.
select sealcast.set_lag('post', :mine, array[:room, :cave]::uuid[], '{5,9}', '{slow,refused}') \g /dev/null
select results_eq(format($$select stream_id, shard, next_offset from sealcast.lagging_streams('post', '{0,1,2,3}') where stream_id = %L$$, :room),
                  format($$values (%1$L::uuid, sealcast.shard_of(%1$L), 5::bigint)$$, :room), 'a stream lags');
select is((select count(*) from sealcast.lagging_streams('post', '{}')), 0::bigint, 'who leads nothing has none');
select sealcast.set_lag('post', :mine, array[:room]::uuid[], '{8}', '{slower}') \g /dev/null
select sealcast.set_lag('post', :mine, array[:room]::uuid[], '{2}', '{slower}') \g /dev/null
select results_eq(format($$select next_offset, reason from sealcast.delivery_lags where stream_id = %L$$, :room),
                  $$values (8::bigint, 'slower')$$, 'it comes on, and never back');
select sealcast.set_lag('post', :others, array[:room, :cave]::uuid[], '{10,0}', '{x,x}') \g /dev/null
select results_eq($$select next_offset from sealcast.delivery_lags order by 1$$, $$values (8::bigint), (9)$$, 'another epoch changes nothing');
select sealcast.set_lag('post', :mine, array[:cave]::uuid[], '{0}', array['']) \g /dev/null
select results_eq($$select stream_id from sealcast.delivery_lags$$, format($$values (%L::uuid)$$, :room), 'caught up');

-- Dead letters, of messages that were relayed.
select is(pg_temp.admit(:room, 'chat', :guest, '{"type":"chat","content":"one"}'), '200');
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, 4, 1, ts, ts, message_id from sealcast.messages where stream_id = :room;
select sealcast.bury('post', :others, :room, 4, 'too large', 1) \g /dev/null
select is((select count(*) from sealcast.dead_letters), 0::bigint, 'another epoch buries nothing');
select sealcast.bury('post', :mine, :room, 4, 'too large', 1) \g /dev/null
select sealcast.bury('mail', :mine, :room, 4, 'refused', 7) \g /dev/null
select results_eq($$select transport, "offset", reason, attempts, replay from sealcast.dead_letters order by 1$$,
                  $$values ('mail', 4::bigint, 'refused', 7, false), ('post', 4, 'too large', 1, false)$$, 'buried, each transport its own');
select is_empty($$select * from sealcast.dead_letters_to_replay('post', '{0,1,2,3}', 10)$$, 'nobody wants them');
select is(sealcast.replay_dead_letters('post'), 1::bigint, 'until somebody does');
select is(sealcast.replay_dead_letters('post'), 0::bigint, 'once');
select results_eq($$select stream_id, shard, "offset", prev, envelope from sealcast.dead_letters_to_replay('post', '{0,1,2,3}', 10)$$,
  format($$select stream_id, sealcast.shard_of(stream_id), 4::bigint, 3::bigint, sealcast.envelope(m) from sealcast.messages m where stream_id = %L$$, :room),
  'with its message');
select is_empty($$select * from sealcast.dead_letters_to_replay('mail', '{0,1,2,3}', 10)$$, 'of that transport');
select sealcast.bury('post', :mine, :room, 4, 'still too large', 2) \g /dev/null
select results_eq($$select reason, attempts, replay from sealcast.dead_letters where transport = 'post'$$,
                  $$values ('still too large', 3, false)$$, 'a replay that failed is buried again');
select sealcast.revive('post', :room, 4) \g /dev/null
select is((select count(*) from sealcast.dead_letters where transport = 'post'), 1::bigint, 'what nobody replays is not revived');
select is(sealcast.replay_dead_letters(stream_id => :room, "offset" => 4), 2::bigint, 'all transports');
select sealcast.revive('post', :room, 4) \g /dev/null
select results_eq($$select transport from sealcast.dead_letters$$, $$values ('mail')$$, 'delivered after all');
select is(sealcast.drop_dead_letters('mail', :cave), 0::bigint, 'of another stream there is none');
select is(sealcast.drop_dead_letters('mail', :room, 4), 1::bigint, 'dropped');

-- What is owed.
insert into sealcast.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select 0, n, 3, 0, '1:1:', '0', 0, 0, array[:room]::uuid[], array[n * 10], array[n * 10 + 9] from generate_series(8, 11) n
on conflict do nothing;
select results_eq($$select owed, lagging_streams, owed_to_lagging, dead_letters from sealcast.delivery_status where transport = 'post'$$,
                  $$values (20::bigint, 1::bigint, 0::bigint, 0::bigint)$$, 'what the transport owes');
delete from sealcast.relay_log where shard = 0 and batch < 8;
select sealcast.maintain() \g /dev/null
select is((select min(batch) from sealcast.relay_log where shard = 0), 10::bigint, 'maintain() keeps what is owed');
select sealcast.forget_transport('post') \g /dev/null
select is((select count(*) from sealcast.deliveries where transport = 'post') + (select count(*) from sealcast.delivery_lags), 0::bigint, 'forgotten');
select * from finish();
rollback;

-- Tests switching: when each step is due, what each step does, and who may force a mode.
begin;
\ir scene.psql
select plan(102);

delete from sealcast.viewer_counts;
update sealcast_internal.relay_leases set holder = 'a', epoch = 7, lease_until = now() + interval '1 h';

create function pg_temp.watched(viewers integer, complete boolean default true, stream_id uuid default 'a0000000-0000-4000-8000-000000000001')
  returns void language sql as $$
  insert into sealcast.viewer_counts as v values (watched.stream_id, null, viewers, complete, now())
  on conflict (stream_id) do update set hls = excluded.hls, complete = excluded.complete $$;
-- The limits: warm from 8 viewers, join from 10, leave below 6 for 60 s. The window is 30 s.
create function pg_temp.due(target text default 'ably', webhook boolean default false, epoch bigint default 7) returns text
  language sql as $$
  select coalesce(string_agg(d.action || ' ' || d.step, ', ' order by d.action), 'nothing')
  from sealcast_internal.due_switches('{0,1,2,3}', array_fill(epoch, array[4]), target, 8, 10, 6, 60000, 30000, webhook) d $$;
-- Takes one step. transport_migrate names the transport that the sidecar would name. `more` are further members of it.
create function pg_temp.take(action text, epoch bigint default 7, more text default '') returns text language plpgsql as $$
declare
  w sealcast.switching;
  taken boolean;
begin
  select * into w from sealcast.switching x where x.stream_id = 'a0000000-0000-4000-8000-000000000001';
  taken := sealcast_internal.switch_stream('{0,1,2,3}', array_fill(epoch, array[4]), 'a0000000-0000-4000-8000-000000000001', action,
             w.warm_up, format('{"target":"%s"%s}', case when action = 'leave' or w.step = 'leaving' then 'sse' else 'ably' end, more));
  return concat_ws(' ', case when not taken then 'not taken:' end, coalesce(x.step, 'standard'), s.delivery_mode)
         from sealcast.streams s left join sealcast.switching x using (stream_id)
         where s.stream_id = 'a0000000-0000-4000-8000-000000000001';
end $$;
create function pg_temp.told() returns text language sql as $$
  select string_agg(t || ' ' || d, ' ' order by message_id) from sealcast.messages where t like 'transport\_%' $$;
create function pg_temp.wait(passed interval) returns void language sql as $$
  update sealcast.switching set since = since - passed, calm_since = calm_since - passed, told_at = told_at - passed $$;
-- Relays the newest message to readers in the next batch of its shard. Returns the batch.
create function pg_temp.relay() returns bigint language sql as $$
  with newest as (select * from sealcast.messages where t like 'transport\_%' order by message_id desc limit 1),
  place as (select sealcast_internal.shard_of(m.stream_id) as shard, (select count(*) from sealcast.stream_runs) + 1 as number from newest m),
  run as (insert into sealcast.stream_runs select stream_id, number, 1, ts, ts, message_id from newest, place)
  insert into sealcast_internal.relay_log
  select shard, number + 8, 7, ts, '1:1:', '0', 0, null, null, null, 0, array[stream_id], array[number], array[number] from newest, place
  returning batch $$;
create function pg_temp.settle(batch bigint) returns void language sql as $$
  insert into sealcast.deliveries as d
  select 'ably', sealcast_internal.shard_of('a0000000-0000-4000-8000-000000000001'), batch, now(), now()
  on conflict (transport, shard) do update set batch = excluded.batch $$;
-- Sends a step's message, and the target delivers it.
create function pg_temp.take_and_deliver(action text, more text default '') returns text language sql as $$
  select taken from (select pg_temp.take(action, more => more) as taken, pg_temp.settle(pg_temp.relay())) t $$;

-- Makes the newest transport_migrate a part of the state of its stream, as drain() does.
create function pg_temp.retain() returns void language sql as $$
  insert into sealcast.retained_messages select m.stream_id, m.t, '', 1, 0, m.ts, m.message_id from sealcast.messages m
  where m.t = 'transport_migrate' order by m.message_id desc limit 1 $$;

-- To the other transport and back.
select pg_temp.watched(7) \g /dev/null
select is(pg_temp.due(), 'nothing', 'below the soft limit, nothing is due');
select pg_temp.watched(8) \g /dev/null
select is(pg_temp.due(), 'warm standard', 'at the soft limit, the warm-up is due');
select is(pg_temp.due(target => null), 'nothing', 'without another transport, nothing is due');
select is(pg_temp.due(epoch => 6), 'nothing', 'for a former leader, nothing is due');
update sealcast.streams set closed_at = clock_timestamp() - interval '1 s' where stream_id = :room;
select is(pg_temp.due(), 'nothing', 'for a closed stream, nothing is due');
update sealcast.streams set closed_at = now() + interval '1 h' where stream_id = :room;
select is(pg_temp.due(), 'warm standard', 'a stream that will close later is open');
select is(pg_temp.take('warm', epoch => 6), 'not taken: standard standard', 'a former leader takes no step');
select is(pg_temp.take('join'), 'not taken: standard standard', 'a step cannot be skipped');
select is(pg_temp.take('warm'), 'warming standard', 'the warm-up begins');
select results_eq('select * from sealcast_internal.delivery_modes()', format('values (%L::uuid, ''hybrid'')', :room), 'both transports carry a warming stream');
select is(pg_temp.due(), 'probe warming', 'the probe is due');
select is(pg_temp.due(webhook => true), 'notify warming, probe warming', 'with a webhook, its call is due');
create function pg_temp.happened_at() returns timestamptz language sql as $$
  select d.happened_at::timestamptz
  from sealcast_internal.due_switches('{0,1,2,3}', '{7,7,7,7}', 'ably', 8, 10, 6, 60000, 30000, true) d where action = 'notify' $$;
select is(pg_temp.happened_at(), (select since from sealcast.switching where stream_id = :room), 'the webhook is told when the warm-up began');
select is(pg_temp.take('probe'), 'warming standard', 'the probe is sent');
select is(pg_temp.told(), 'transport_warmup {}', 'the probe is a message without content');
select is(pg_temp.take('probe'), 'not taken: warming standard', 'the probe is sent once');
select pg_temp.watched(10) \g /dev/null
select is(pg_temp.due(), 'nothing', 'at the hard limit, readers wait for the probe');
select pg_temp.relay(), pg_temp.settle(8) \g /dev/null
select is(pg_temp.due(), 'nothing', 'readers wait until the relayed probe is delivered');
select pg_temp.settle(9) \g /dev/null
insert into sealcast.delivery_lags values ('ably', :room, 1, 'refused');
select is(pg_temp.due(), 'nothing', 'readers wait when the stream lags before the probe');
update sealcast.delivery_lags set next_offset = 2;
select is(pg_temp.due(), 'join warming', 'joining is due when the cursor of the lagging stream is past the probe');
delete from sealcast.delivery_lags;
insert into sealcast.dead_letters values ('ably', :room, 1, 'refused', 1);
select is(pg_temp.due(), 'nothing', 'readers wait when the probe is a dead letter');
delete from sealcast.dead_letters;
select is(pg_temp.due(), 'join warming', 'joining is due when the probe is delivered');
select is(pg_temp.take('join'), 'joining hybrid', 'joining sets the mode hybrid');
select is(pg_temp.happened_at(), (select warmed_at from sealcast.switching where stream_id = :room), 'after a later step, the warm-up began when it did');
select is(pg_temp.told(), 'transport_warmup {} transport_migrate {"target":"ably"}', 'joining sends transport_migrate to the readers');
select is(pg_temp.due(), 'nothing', 'while both transports carry the stream, nothing is due');
select pg_temp.wait('29 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'during the window, transport_migrate is not sent again: late joiners have it from the state');
select pg_temp.wait('1 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'after the window, the hot step waits until the target delivers');
select pg_temp.settle(pg_temp.relay()) \g /dev/null
insert into sealcast.delivery_lags values ('ably', :room, 2, 'refused');
select is(pg_temp.due(), 'nothing', 'a stream that lags on the target does not become hot');
delete from sealcast.delivery_lags;
insert into sealcast.dead_letters values ('ably', :room, 2, 'refused', 1);
select is(pg_temp.due(), 'nothing', 'a stream whose transport_migrate is a dead letter does not become hot');
update sealcast.switching set told_at = told_at - interval '10 min';
select is(pg_temp.due(), 'tell joining', 'a transport_migrate that was not delivered is sent again after ten minutes');
update sealcast.switching set told_at = told_at + interval '10 min';
update sealcast.dead_letters set "offset" = 1;
select is(pg_temp.due(), 'tell joining', 'after the window, a last transport_migrate shows whether the target still delivers');
select is(pg_temp.take('tell', more => ',"spread_ms":400000'), 'joining hybrid', 'the last transport_migrate keeps step and mode');
select is((select d::json ->> 'spread_ms' from sealcast.messages where t = 'transport_migrate' order by message_id desc limit 1), '10000',
          'it is for those who come after the window, and need not wait for as long as the readers who moved');
select is(pg_temp.due(), 'nothing', 'the hot step waits for the last transport_migrate');
select pg_temp.settle(pg_temp.relay()) \g /dev/null
select is(pg_temp.due(), 'heat joining', 'when the target has delivered it, the hot step is due');
select is(pg_temp.take('heat'), 'hot hot', 'only the target carries a hot stream');
select is(pg_temp.due(target => 'mqtt'), 'tell hot', 'when the settings name another target, readers are sent there');
select is(pg_temp.due(target => null), 'leave hot', 'when the settings name no target any more, readers go home');
select pg_temp.wait('9 min') \g /dev/null
select is(pg_temp.due(), 'nothing', 'a new transport_migrate may not be in the state of its stream yet');
select pg_temp.wait('1 min') \g /dev/null
select is(pg_temp.due(), 'tell hot', 'a transport_migrate that late joiners do not get any more is sent again');
select pg_temp.retain() \g /dev/null
select is(pg_temp.due(), 'nothing', 'one that is in the state is not');
update sealcast.message_types set retained = false where t = 'transport_migrate';
select is(pg_temp.due(), 'tell hot', 'it is when the type is no longer retained');
update sealcast.message_types set retained = true where t = 'transport_migrate';
update sealcast.switching set told_at = null;
select is(pg_temp.due(), 'tell hot', 'a hot stream that was moved to this cell tells its readers');
select pg_temp.take('tell'), pg_temp.watched(6), pg_temp.due(), pg_temp.wait('10 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'at the lower limit, leaving is not due');
select pg_temp.watched(5) \g /dev/null
select is(pg_temp.due(), 'nothing', 'just below the lower limit, leaving is not due yet');
select pg_temp.wait('59 s'), pg_temp.watched(6), pg_temp.due(), pg_temp.watched(5), pg_temp.due() \g /dev/null
select pg_temp.wait('59 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'a rise above the lower limit restarts the time');
select pg_temp.watched(0, complete => false), pg_temp.due(), pg_temp.wait('1 h') \g /dev/null
select is(pg_temp.due(), 'nothing', 'an incomplete count does not make leaving due');
select pg_temp.watched(5), pg_temp.due(), pg_temp.wait('60 s') \g /dev/null
select is(pg_temp.due(), 'leave hot', 'long enough below the lower limit, leaving is due');
select is(pg_temp.take('leave'), 'leaving hybrid', 'leaving sets the mode hybrid');
select is((select d from sealcast.messages where t = 'transport_migrate' order by message_id desc limit 1), '{"target":"sse"}', 'leaving sends transport_migrate to the readers');
select pg_temp.watched(99) \g /dev/null
select is(pg_temp.due(), 'nothing', 'a stream that is leaving does not join again before the window ends');
select pg_temp.wait('30 s') \g /dev/null
select is(pg_temp.due(), 'tell leaving', 'after the window, a last transport_migrate is due');
select pg_temp.take('tell') \g /dev/null
select is(pg_temp.due(), 'cool leaving', 'cooling is then due, because sse needs no delivery');
select is(pg_temp.take('cool'), 'cooling standard', 'cooling sets the mode standard');
select is(pg_temp.happened_at(), (select since from sealcast.switching where stream_id = :room), 'the webhook is told when the stream cooled down');
select is(pg_temp.due(webhook => true), 'notify cooling, warm cooling', 'a cooling stream with enough viewers may warm again');
select pg_temp.watched(1) \g /dev/null
select is(pg_temp.due(webhook => true), 'notify cooling', 'without enough viewers, only the call of the webhook is due for a cooling stream');
select is(pg_temp.take('notify'), 'cooling standard', 'the webhook is called');
select is(pg_temp.due(webhook => true), 'rest cooling', 'after the call, the last step is due');
select is(pg_temp.take('rest'), 'standard standard', 'the last step returns to standard');
select is((select count(*) from sealcast.switching), 0::bigint, 'after the last step, the stream has no row');
select results_eq('select from_mode, to_mode, reason, viewers from sealcast.delivery_changes order by change_id',
  $$values ('standard', 'hybrid', 'viewers', 10), ('hybrid', 'hot', 'viewers', 10), ('hot', 'hybrid', 'viewers', 5), ('hybrid', 'standard', 'viewers', 99)$$,
  'each change of the mode has an audit row');
select is(bool_and(sealcast.verify(sealcast.envelope(m)::json)), true, 'all messages to readers are sealed') from sealcast.messages m where t like 'transport\_%';

-- A stream that never became hot, and a row that was restored into another cluster.
select pg_temp.watched(8), pg_temp.take('warm'), pg_temp.take('probe'), pg_temp.watched(1), pg_temp.due(), pg_temp.wait('60 s') \g /dev/null
select is(pg_temp.due(), 'cool warming', 'below the lower limit before the hard limit, cooling is due');
select pg_temp.watched(8), pg_temp.due() \g /dev/null
update sealcast.switching set probed_after = 1000;
select is(pg_temp.due(), 'warm warming', 'a probe of another cluster makes the warm-up due again');
select is(pg_temp.take('warm'), 'warming standard', 'a stream that is warming can begin its warm-up again');
select pg_temp.take('probe'), pg_temp.watched(10), pg_temp.wait('9 min') \g /dev/null
select is(pg_temp.due(), 'nothing', 'readers wait ten minutes for a probe that is not delivered');
select is(pg_temp.due(target => 'sse'), 'join warming', 'the transport sse needs no delivery of the probe, because it reads the log itself');
select pg_temp.wait('2 min') \g /dev/null
select is(pg_temp.due(), 'warm warming', 'after ten minutes without the delivery of the probe, another one is sent');
select pg_temp.take('cool'), pg_temp.watched(1), pg_temp.take('rest') \g /dev/null

-- set_delivery_mode()
create temp table attempts (who text, sub text, mode text, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, 'hot', 'ok', 'an owner may force a mode'),
  ('sealcast_user', :moderator, 'hot', 'PT403 role_required', 'a moderator may not force a mode'),
  ('sealcast_user', null, 'hot', 'PT401 unauthenticated', 'a caller without a session may not force a mode'),
  ('sealcast_admin', null, 'hotter', 'PT400 invalid_request', 'an unknown mode is refused'),
  ('sealcast_admin', null, null, 'ok', 'an admin may release a forced mode');
select is(pg_temp.outcome(who, sub, format('select sealcast.set_delivery_mode(%L, %L)', :room, mode)), expected, why) from attempts;
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_delivery_mode(%L, ''hot'')', :nowhere)), 'PT404 stream_not_found', 'a stream that does not exist is refused');
select is((select count(*) from sealcast.switching), 0::bigint, 'a mode that was released before its first step leaves no row');
select sealcast.set_delivery_mode(:room, 'hybrid') \g /dev/null
select is(pg_temp.due(target => null), 'set standard', 'without another transport, only setting the mode is due');
select is(pg_temp.take('set'), 'standard hybrid', 'the forced mode is set at once');
select sealcast.set_delivery_mode(:room, null) \g /dev/null
select is(pg_temp.due(target => null), 'set standard', 'after the release, setting the mode is due');
select is(pg_temp.take('set'), 'standard standard', 'the mode standard is set at once');
select is((select count(*) from sealcast.switching), 0::bigint, 'after the release, the stream has no row');
select sealcast.set_delivery_mode(:room, 'hot'), pg_temp.take('warm'), pg_temp.take('probe') \g /dev/null
select pg_temp.take('join'), pg_temp.take('heat') \g /dev/null
select pg_temp.wait('1 h') \g /dev/null
select is(pg_temp.due(), 'nothing', 'a forced hot stream stays hot without viewers');
select sealcast.set_delivery_mode(:room, 'hybrid') \g /dev/null
select is(pg_temp.due(), 'mix hot', 'forcing hybrid makes the mixed step due');
select is(pg_temp.take('mix'), 'joining hybrid', 'the mixed step sets the mode hybrid');
select pg_temp.wait('1 h') \g /dev/null
select is(pg_temp.due(), 'nothing', 'a forced hybrid stream stays hybrid without viewers');
select sealcast.set_delivery_mode(:room, null), pg_temp.due(), pg_temp.wait('60 s') \g /dev/null
select is(pg_temp.due(), 'leave joining', 'after the release, the viewers decide and leaving is due');
update sealcast.streams set closed_at = now() where stream_id = :room;
select is(pg_temp.take('leave'), 'leaving hybrid', 'the readers of a stream that was closed go home too, so that late joiners are not sent elsewhere when it opens again');
select pg_temp.wait('30 s'), pg_temp.take('tell') \g /dev/null
select is(pg_temp.due(), 'cool leaving', 'a closed stream cools down like others');
select pg_temp.take('cool') \g /dev/null
update sealcast.streams set closed_at = null, delivery_mode = 'hot' where stream_id = :room;
select is((select string_agg(reason || ' ' || to_mode, ', ' order by change_id) from sealcast.delivery_changes where change_id > (
            select change_id from sealcast.delivery_changes order by change_id offset 3 limit 1)),
          'forced hybrid, viewers standard, forced hybrid, forced hot, forced hybrid, viewers standard, viewers hot', 'the audit has the reason of each change');
-- The stream is in another cell meanwhile.
update sealcast.streams set delivery_mode = 'standard' where stream_id = :room;
select sealcast.set_delivery_mode(:room, 'hot'), pg_temp.take('warm') \g /dev/null
insert into sealcast.cells values ('here', 'https://here.example'), ('there', 'https://there.example');
insert into sealcast.cell_pins values (:room, 'there');
set local sealcast.cell = 'here';
select is(pg_temp.take('probe'), 'cooling standard', 'a stream that is in another cell meanwhile goes to cooling');
select is(pg_temp.due(), 'rest cooling', 'a stream in another cell is no longer forced');

delete from sealcast.cell_pins;
delete from sealcast.cells;

-- The readers take longer to move than the window lasts: 40 s, and 5 s for the overlap of the last one.
delete from sealcast.switching;
select pg_temp.watched(10), pg_temp.take('warm'), pg_temp.take_and_deliver('probe') \g /dev/null
select pg_temp.take_and_deliver('join', ',"spread_ms":40000,"overlap_ms":5000'), pg_temp.wait('30 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'after the window, both transports carry the stream until all readers have moved');
select pg_temp.wait('14 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'the last reader reads both transports for the overlap');
select pg_temp.wait('1 s'), pg_temp.take_and_deliver('tell') \g /dev/null
select is(pg_temp.due(), 'heat joining', 'when all readers have moved, the hot step is due');
select pg_temp.take('heat'), pg_temp.take_and_deliver('leave', ',"spread_ms":35000,"overlap_ms":0'), pg_temp.wait('34 s') \g /dev/null
select is(pg_temp.due(), 'nothing', 'readers who go back have their time too');
select pg_temp.wait('1 s'), pg_temp.take('tell') \g /dev/null
select is(pg_temp.due(), 'cool leaving', 'when all readers are back, cooling is due');

-- Many streams: which comes first, and what a refused step does to the others.
delete from sealcast.switching;
delete from sealcast.viewer_counts;
insert into sealcast.streams (stream_id, delivery_mode)
  select format('b0000000-0000-4000-8000-00000000000%s', n)::uuid, case when n in (1, 4) then 'hot' else 'standard' end
  from generate_series(1, 5) n;
create function pg_temp.stream(n integer) returns uuid language sql as $$
  select format('b0000000-0000-4000-8000-00000000000%s', n)::uuid $$;
insert into sealcast.switching (stream_id, step, since, forced, told_at) values
  (pg_temp.stream(1), 'hot', now() - interval '1 h', 'hot', now() - interval '1 h'),
  (pg_temp.stream(2), 'standard', now() - interval '1 min', 'hot', null),
  (pg_temp.stream(3), 'standard', now() - interval '2 min', 'hot', null),
  (pg_temp.stream(4), 'hot', now(), 'standard', now());
select pg_temp.watched(8, stream_id => pg_temp.stream(5)) \g /dev/null
select is((select string_agg(format('%s %s', right(d.stream_id::text, 1), d.action), ', ' order by d.n)
           from sealcast_internal.due_switches('{0,1,2,3}', '{7,7,7,7}', 'ably', 8, 10, 6, 60000, 30000, false)
                with ordinality d (stream_id, action, step, viewers, warm_up, n)),
          '4 leave, 3 warm, 2 warm, 5 warm, 1 tell',
          'readers who go back come first, then forced steps by age, then steps by viewers, then messages without a step');
create function pg_temp.refuse() returns trigger language plpgsql as $$ begin raise exception 'refused here'; end $$;
create trigger refuse before update on sealcast.streams for each row
  when (old.stream_id = 'b0000000-0000-4000-8000-000000000004') execute function pg_temp.refuse();
create temp table outcomes as
  select s.* from (select array_agg(w.stream_id order by w.stream_id desc) as stream_ids,
                          array_agg(case w.step when 'hot' then 'leave' else 'warm' end order by w.stream_id desc) as actions,
                          array_agg(w.warm_up order by w.stream_id desc) as warm_ups,
                          array_agg('{"type":"migrate"}'::text) as tells from sealcast.switching w where w.stream_id <> pg_temp.stream(3)) w,
                  sealcast_internal.switch_streams('{0,1,2,3}', '{7,7,7,7}', w.stream_ids || pg_temp.stream(3), w.actions || 'probe'::text,
                                                   w.warm_ups || gen_random_uuid(), w.tells || ''::text) s;
select is((select array_agg(format('%s %s %s', right(o.stream_id::text, 1), o.taken, o.state) order by o.stream_id) from outcomes o),
          array['1 t ', '2 t ', '3 f ', '4 f P0001'], 'each step of a batch has its own outcome');
select is((select string_agg(format('%s %s', right(w.stream_id::text, 1), w.step), ', ' order by w.stream_id) from sealcast.switching w),
          '1 leaving, 2 warming, 3 standard, 4 hot', 'a refused step is undone alone');
select is((select array_agg(distinct m.stream_id) from sealcast.messages m where m.t = 'transport_migrate' and m.stream_id <> :room),
          array[pg_temp.stream(1)], 'a refused step sends no message');
drop trigger refuse on sealcast.streams;
insert into sealcast.switching (stream_id, step, since) values (:room, 'standard', now());

set local session_replication_role = replica;
select throws_like($$select pg_temp.take('warm')$$, 'session_replication_role is replica%', 'in the replica role, where a change would get no audit row, no step is taken');
set local session_replication_role = origin;
select * from finish();
rollback;

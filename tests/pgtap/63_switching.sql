-- Moving a stream's readers to another transport and back: which step is due when, what each does, and by whose word.
begin;
\ir scene.psql
select plan(68);

delete from sealcast.viewer_counts;
update sealcast.relay_leases set holder = 'a', epoch = 7, lease_until = now() + interval '1 h';

create function pg_temp.watched(viewers integer, complete boolean default true, stream_id uuid default 'a0000000-0000-4000-8000-000000000001')
  returns void language sql as $$
  insert into sealcast.viewer_counts as v values (watched.stream_id, null, viewers, complete, now())
  on conflict (stream_id) do update set hls = excluded.hls, complete = excluded.complete $$;
-- Limits: 8 viewers, 10, and 6 for 60 s; the window is 30 s, readers are told every 10 s.
create function pg_temp.due(target text default 'ably', webhook boolean default false, epoch bigint default 7) returns text
  language sql as $$
  select coalesce(string_agg(d.action || ' ' || d.step, ', ' order by d.action), 'nothing')
  from sealcast.due_switches('{0,1,2,3}', array_fill(epoch, array[4]), target, 8, 10, 6, 60000, 30000, 10000, webhook) d $$;
create function pg_temp.take(action text, epoch bigint default 7) returns text language plpgsql as $$
declare
  taken boolean;
begin
  taken := sealcast.switch_stream('{0,1,2,3}', array_fill(epoch, array[4]), 'a0000000-0000-4000-8000-000000000001', action,
             (select w.warm_up from sealcast.switching w where w.stream_id = 'a0000000-0000-4000-8000-000000000001'),
             '{"type":"migrate","target":"' || action || '"}');
  return concat_ws(' ', case when not taken then 'not taken:' end, coalesce(w.step, 'standard'), s.delivery_mode)
         from sealcast.streams s left join sealcast.switching w using (stream_id)
         where s.stream_id = 'a0000000-0000-4000-8000-000000000001';
end $$;
create function pg_temp.told() returns text language sql as $$
  select string_agg(t || ' ' || d, ' ' order by message_id) from sealcast.messages where t like 'transport\_%' $$;
create function pg_temp.wait(passed interval) returns void language sql as $$
  update sealcast.switching set since = since - passed, calm_since = calm_since - passed, told_at = told_at - passed $$;
-- As if the probe had been relayed in batch 9 of its shard.
create function pg_temp.relay_probe() returns void language sql as $$
  insert into sealcast.stream_runs
  select m.stream_id, 1, 1, m.ts, m.ts, m.message_id from sealcast.messages m where m.t = 'transport_warmup'
  order by m.message_id desc limit 1;
  insert into sealcast.relay_log
  select sealcast.shard_of(m.stream_id), 9, 7, m.ts, '1:1:', '0', 0, null, null, null, 0, array[m.stream_id], '{1}', '{1}'
  from sealcast.messages m where m.t = 'transport_warmup' order by m.message_id desc limit 1 $$;
create function pg_temp.settle(batch bigint) returns void language sql as $$
  insert into sealcast.deliveries as d
  select 'ably', sealcast.shard_of('a0000000-0000-4000-8000-000000000001'), batch, now(), now()
  on conflict (transport, shard) do update set batch = excluded.batch $$;

-- There and back.
select pg_temp.watched(7) \g /dev/null
select is(pg_temp.due(), 'nothing', 'below the soft limit');
select pg_temp.watched(8) \g /dev/null
select is(pg_temp.due(), 'warm standard', 'at the soft limit');
select is(pg_temp.due(target => null), 'nothing', 'but without another transport');
select is(pg_temp.due(epoch => 6), 'nothing', 'not for who led before');
select is(pg_temp.take('warm', epoch => 6), 'not taken: standard standard', 'who changes nothing either');
select is(pg_temp.take('join'), 'not taken: standard standard', 'nor is a step left out');
select is(pg_temp.take('warm'), 'warming standard', 'warming');
select results_eq('select * from sealcast.delivery_modes()', format('values (%L::uuid, ''hybrid'')', :room), 'both transports carry it');
select is(pg_temp.due(), 'probe warming', 'the other one is tried');
select is(pg_temp.due(webhook => true), 'notify warming, probe warming', 'and the webhook called');
select is(pg_temp.take('probe'), 'warming standard', 'by a message');
select is(pg_temp.told(), 'transport_warmup {}', 'that tells nothing');
select is(pg_temp.take('probe'), 'not taken: warming standard', 'once');
select pg_temp.watched(10) \g /dev/null
select is(pg_temp.due(), 'nothing', 'the hard limit, and the probe has not come through');
select pg_temp.relay_probe(), pg_temp.settle(8) \g /dev/null
select is(pg_temp.due(), 'nothing', 'relayed, not delivered');
select pg_temp.settle(9) \g /dev/null
insert into sealcast.delivery_lags values ('ably', :room, 1, 'refused');
select is(pg_temp.due(), 'nothing', 'delivered, but for streams that lag');
update sealcast.delivery_lags set next_offset = 2;
select is(pg_temp.due(), 'join warming', 'which this one does no more');
delete from sealcast.delivery_lags;
insert into sealcast.dead_letters values ('ably', :room, 1, 'refused', 1);
select is(pg_temp.due(), 'nothing', 'not when it was given up');
delete from sealcast.dead_letters;
select is(pg_temp.due(), 'join warming', 'it has arrived');
select is(pg_temp.take('join'), 'joining hybrid', 'readers go there');
select is(pg_temp.told(), 'transport_warmup {} transport_migrate {"target":"join","type":"migrate"}', 'as they are told');
select is(pg_temp.due(), 'nothing', 'while both transports carry it');
select pg_temp.wait('10 s') \g /dev/null
select is(pg_temp.due(), 'repeat joining', 'who comes now is told too');
select is(pg_temp.take('repeat'), 'joining hybrid', 'again');
select is(pg_temp.due(), 'nothing', 'and no more often');
select pg_temp.wait('20 s') \g /dev/null
select is(pg_temp.due(), 'heat joining', 'the window is over');
select is(pg_temp.take('heat'), 'hot hot', 'the target alone');
select pg_temp.watched(6), pg_temp.due(), pg_temp.take('repeat'), pg_temp.wait('1 h') \g /dev/null
select is(pg_temp.due(), 'repeat hot', 'not below the lower limit');
select pg_temp.watched(5), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'below it');
select pg_temp.wait('59 s'), pg_temp.take('repeat'), pg_temp.watched(6), pg_temp.due(), pg_temp.watched(5), pg_temp.due() \g /dev/null
select pg_temp.wait('59 s'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'a rise in between starts the time anew');
select pg_temp.watched(0, complete => false), pg_temp.due(), pg_temp.wait('1 h'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'who does not know does not leave');
select pg_temp.watched(5), pg_temp.due(), pg_temp.wait('60 s'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'leave hot', 'long enough');
select is(pg_temp.take('leave'), 'leaving hybrid', 'readers go back');
select is((select d from sealcast.messages where t = 'transport_migrate' order by message_id desc limit 1), '{"target":"leave","type":"migrate"}', 'as they are told');
select pg_temp.watched(99), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'whoever comes now waits');
select pg_temp.wait('30 s') \g /dev/null
select is(pg_temp.due(), 'cool leaving', 'until the window is over');
select is(pg_temp.take('cool'), 'cooling standard', 'where it was');
select is(pg_temp.due(webhook => true), 'notify cooling, warm cooling', 'and may go again');
select pg_temp.watched(1) \g /dev/null
select is(pg_temp.due(webhook => true), 'notify cooling', 'or the webhook is told');
select is(pg_temp.take('notify'), 'cooling standard', 'told');
select is(pg_temp.due(webhook => true), 'rest cooling', 'and that was it');
select is(pg_temp.take('rest'), 'standard standard', 'nothing is left');
select is((select count(*) from sealcast.switching), 0::bigint, 'but this');
select results_eq('select from_mode, to_mode, reason, viewers from sealcast.delivery_changes order by change_id',
  $$values ('standard', 'hybrid', 'viewers', 10), ('hybrid', 'hot', 'viewers', 10), ('hot', 'hybrid', 'viewers', 5), ('hybrid', 'standard', 'viewers', 99)$$,
  'an audit row for each change');
select is(bool_and(sealcast.verify(sealcast.envelope(m)::json)), true, 'all sealed') from sealcast.messages m where t like 'transport\_%';

-- What never got hot, and what was restored into another cluster.
select pg_temp.watched(8), pg_temp.take('warm'), pg_temp.take('probe'), pg_temp.watched(1), pg_temp.due(), pg_temp.wait('60 s') \g /dev/null
select is(pg_temp.due(), 'cool warming', 'calm again before the hard limit');
select pg_temp.watched(8), pg_temp.due() \g /dev/null
update sealcast.switching set probed_after = 1000;
select is(pg_temp.due(), 'warm warming', 'a probe of another cluster is sent anew');
select pg_temp.take('cool'), pg_temp.watched(1), pg_temp.take('rest') \g /dev/null

-- By hand.
create temp table attempts (who text, sub text, mode text, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, 'hot', 'ok', 'an owner may'),
  ('sealcast_user', :moderator, 'hot', 'PT403 role_required', 'a moderator may not'),
  ('sealcast_user', null, 'hot', 'PT401 unauthenticated', 'nor nobody'),
  ('sealcast_admin', null, 'hotter', 'PT400 invalid_request', 'there are three modes'),
  ('sealcast_admin', null, null, 'ok', 'an admin may');
select is(pg_temp.outcome(who, sub, format('select sealcast.set_delivery_mode(%L, %L)', :room, mode)), expected, why) from attempts;
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_delivery_mode(%L, ''hot'')', :nowhere)), 'PT404 stream_not_found', 'of streams that there are');
select is((select count(*) from sealcast.switching), 0::bigint, 'given back before it began');
select sealcast.set_delivery_mode(:room, 'hybrid') \g /dev/null
select is(pg_temp.due(target => null), 'set standard', 'without another transport it is a mode and nothing else');
select is(pg_temp.take('set'), 'standard hybrid', 'set at once');
select sealcast.set_delivery_mode(:room, null) \g /dev/null
select is(pg_temp.due(target => null), 'set standard', 'and given back');
select is(pg_temp.take('set'), 'standard standard', 'likewise');
select is((select count(*) from sealcast.switching), 0::bigint, 'nothing is left');
select sealcast.set_delivery_mode(:room, 'hot'), pg_temp.take('warm'), pg_temp.take('probe') \g /dev/null
delete from sealcast.stream_runs; delete from sealcast.relay_log where batch = 9;
select pg_temp.relay_probe(), pg_temp.take('join'), pg_temp.take('heat') \g /dev/null
select pg_temp.wait('1 h'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'held, though nobody watches');
select sealcast.set_delivery_mode(:room, 'hybrid') \g /dev/null
select is(pg_temp.due(), 'mix hot', 'both again');
select is(pg_temp.take('mix'), 'joining hybrid', 'readers stay where they are');
select pg_temp.wait('1 h'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'nothing', 'for as long as it is wanted');
select sealcast.set_delivery_mode(:room, null), pg_temp.due(), pg_temp.wait('60 s'), pg_temp.take('repeat') \g /dev/null
select is(pg_temp.due(), 'leave joining', 'by viewers again');
update sealcast.streams set closed_at = now() where stream_id = :room;
select is(pg_temp.take('leave'), 'cooling standard', 'a closed stream moves nobody');
update sealcast.streams set closed_at = null, delivery_mode = 'hot' where stream_id = :room;
select is((select string_agg(reason || ' ' || to_mode, ', ' order by change_id) from sealcast.delivery_changes where change_id > (
            select change_id from sealcast.delivery_changes order by change_id offset 3 limit 1)),
          'forced hybrid, viewers standard, forced hybrid, forced hot, forced hybrid, viewers standard, viewers hot', 'all in the audit');
-- In another cell meanwhile.
update sealcast.streams set delivery_mode = 'standard' where stream_id = :room;
select sealcast.set_delivery_mode(:room, 'hot'), pg_temp.take('warm') \g /dev/null
insert into sealcast.cells values ('here', 'https://here.example'), ('there', 'https://there.example');
insert into sealcast.cell_pins values (:room, 'there');
set local sealcast.cell = 'here';
select is(pg_temp.take('probe'), 'cooling standard', 'a stream that has gone to another cell moves nobody');
select is(pg_temp.due(), 'rest cooling', 'and is held no more');
select * from finish();
rollback;

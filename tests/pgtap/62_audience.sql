-- Viewer counts: what is published of what was counted, how often, and by whom.
begin;
\ir scene.psql
select plan(29);

delete from sealcast.viewer_counts;
update sealcast.relay_leases set holder = 'a', epoch = 7, lease_until = now() + interval '1 h';
-- What comes next is in another tick than what was.
create function pg_temp.next_tick() returns void language sql as $$
  select pg_sleep((101 - floor(extract(epoch from clock_timestamp()) * 1000)::bigint % 100) / 1000.0) $$;
create function pg_temp.publish(stream_ids uuid[], webrtc integer[], hls integer[], complete boolean default true,
                                epoch bigint default 7, shards integer[] default '{0,1,2,3}', every_ms integer default 100)
  returns integer language sql as $$
  select pg_temp.next_tick() where every_ms = 100;
  select published from sealcast.publish_viewer_counts(shards, array_fill(epoch, array[cardinality(shards)]),
                                                       stream_ids, webrtc, hls, complete, every_ms, 60000) $$;
create function pg_temp.updates(stream_id uuid) returns text language sql as $$
  select string_agg(m.d, ' ' order by m.message_id) from sealcast.messages m
  where m.stream_id = updates.stream_id and m.t = 'viewer_count_update' $$;
create function pg_temp.forget() returns void language sql as $$
  delete from sealcast.messages where t = 'viewer_count_update' $$;

-- What is published.
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{40,3}'), 2, 'each stream with viewers gets an update');
select is(pg_temp.updates(:room), '{"hls":40,"total":42,"webrtc":2}', 'with what each source counted');
select is(pg_temp.updates(:cave), '{"hls":3,"total":3,"webrtc":0}', 'private streams too');
select results_eq($$select distinct sender_id, sealcast.verify_detail(sealcast.envelope(m)::json) from sealcast.messages m where t = 'viewer_count_update'$$,
                  format('values (%L::uuid, ''ok'')', :system), 'sealed, of the system');
select is((select count(*) from sealcast.outbox o where o.stream_id in (:room, :cave)), 2::bigint, 'and to be relayed');

-- How often.
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{40,3}'), 0, 'what has not changed is not repeated');
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 1, 'what has changed is told');
update sealcast.viewer_counts set published_at = clock_timestamp() - interval '59 s';
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 0, 'not repeated within a minute');
update sealcast.viewer_counts set published_at = clock_timestamp() - interval '60 s' where stream_id = :cave;
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 1, 'but after it');

-- Nobody watches any more.
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish(array[:room]::uuid[], '{2}', '{41}'), 1, 'a stream that is not named');
select is(pg_temp.updates(:cave), '{"hls":0,"total":0,"webrtc":0}', 'has none');
select is(pg_temp.publish(array[:room]::uuid[], '{2}', '{41}'), 0, 'which is told once');
select is((select array_agg(stream_id) from sealcast.viewer_counts), array[:room]::uuid[], 'and then forgotten');
select is(pg_temp.publish(array[:cave]::uuid[], '{0}', '{0}', shards => array[sealcast.shard_of(:cave)]), 0, 'nobody comes: nothing to tell');

-- A source is away.
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish('{}', '{}', null, complete => false), 1, 'away: told of every stream that had viewers');
select is(pg_temp.updates(:room), '{"hls":null,"total":null,"webrtc":0}', 'as null, and so is the total');
select is((select count(*) from sealcast.viewer_counts), 1::bigint, 'nobody knows whether they left');
select is(pg_temp.publish('{}', null, null, complete => false), 1, 'both are away');
select is(pg_temp.publish('{}', '{}', '{}'), 1, 'back, and nobody there');
select is(pg_temp.updates(:room), '{"hls":null,"total":null,"webrtc":0} {"hls":null,"total":null,"webrtc":null} {"hls":0,"total":0,"webrtc":0}', 'one update each');
select is((select count(*) from sealcast.viewer_counts), 0::bigint, 'then it is over');

-- By whom.
select is(pg_temp.publish(array[:room]::uuid[], '{1}', '{1}', epoch => 6), 0, 'not by who led before');
select is(pg_temp.publish(array[:room]::uuid[], '{1}', '{1}', shards => array[(sealcast.shard_of(:room) + 1) % 4]), 0, 'nor by who leads another shard');
select is(pg_temp.publish(array[:room]::uuid[], null, '{5}', every_ms => 60000), 1, 'once a tick');
select is(pg_temp.publish(array[:room]::uuid[], null, '{6}', every_ms => 60000), 0, 'whatever else is counted');
select is((select hls from sealcast.viewer_counts where stream_id = :room), 5, 'what was published stands');

-- Streams that take no messages.
update sealcast.streams set closed_at = now() where stream_id = :room;
select is(pg_temp.publish(array[:room, :attic, :nowhere]::uuid[], null, '{7,1,1}'), 0, 'a closed stream, and one that is not there, get none');
select is((select count(*) from sealcast.viewer_counts), 0::bigint, 'and are forgotten');
select throws_ok($$select sealcast.publish_viewer_counts('{}', '{}', '{}', '{}', '{}', true, 99, 60000)$$, '22023');
select * from finish();
rollback;

-- Tests viewer counts: which counts are published, how often, and by which leader.
begin;
\ir scene.psql
select plan(41);

delete from sealcast.viewer_counts;
update sealcast_internal.relay_leases set holder = 'a', epoch = 7, lease_until = now() + interval '1 h';
-- Waits for the next tick of 100 ms.
create function pg_temp.next_tick() returns void language sql as $$
  select pg_sleep((101 - floor(extract(epoch from clock_timestamp()) * 1000)::bigint % 100) / 1000.0) $$;
create function pg_temp.publish(stream_ids uuid[], webrtc integer[], hls integer[], complete boolean default true,
                                epoch bigint default 7, shards integer[] default '{0,1,2,3}', every_ms integer default 100)
  returns integer language sql as $$
  select pg_temp.next_tick() where every_ms = 100;
  select published from sealcast_internal.publish_viewer_counts(shards, array_fill(epoch, array[cardinality(shards)]),
                                                       stream_ids, webrtc, hls, complete, every_ms) $$;
-- Publishes one count of heartbeats.
create function pg_temp.publish_followed(stream_id uuid, hls integer, followed uuid[], webrtc integer default null) returns integer language sql as $$
  select pg_temp.next_tick();
  select published from sealcast_internal.publish_viewer_counts('{0,1,2,3}', '{7,7,7,7}', array[stream_id], array[webrtc], array[hls], true, 100, followed) $$;
create function pg_temp.updates(stream_id uuid) returns text language sql as $$
  select string_agg(m.d, ' ' order by m.message_id) from sealcast.messages m
  where m.stream_id = updates.stream_id and m.t = 'viewer_count_update' $$;
create function pg_temp.forget() returns void language sql as $$
  delete from sealcast.messages where t = 'viewer_count_update' $$;

-- Which counts are published.
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{40,3}'), 2, 'each stream with viewers gets an update');
select is(pg_temp.updates(:room), '{"hls":40,"total":42,"webrtc":2}', 'an update has the count of each source');
select is(pg_temp.updates(:cave), '{"hls":3,"total":3,"webrtc":0}', 'a private stream gets an update');
select results_eq($$select distinct sender_id, sealcast.verify_detail(sealcast.envelope(m)::json) from sealcast.messages m where t = 'viewer_count_update'$$,
                  format('values (%L::uuid, ''ok'')', :system), 'updates are sealed messages of the system');
select is((select count(*) from sealcast_internal.outbox o where o.stream_id in (:room, :cave)), 2::bigint, 'updates are in the outbox');

-- How often.
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{40,3}'), 0, 'an unchanged count is not published again');
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 1, 'a changed count is published');
update sealcast.viewer_counts set published_at = clock_timestamp() - interval '9 min';
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 0, 'a new count may not be in the state of its stream yet');
insert into sealcast.retained_messages select m.stream_id, m.t, '', 1, 0, m.ts, m.message_id from sealcast.messages m
  where m.stream_id = :room and m.d::json ->> 'hls' = '41';
update sealcast.viewer_counts set published_at = clock_timestamp() - interval '10 min';
select is(pg_temp.publish(array[:room, :cave]::uuid[], '{2,0}', '{41,3}'), 1, 'an unchanged count is published again only when late joiners do not get it any more');
select is((select published_at > clock_timestamp() - interval '1 min' from sealcast.viewer_counts where stream_id = :cave), true, 'and so their stream has it again');

-- Streams without viewers.
update sealcast.viewer_counts set published_at = clock_timestamp();
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish(array[:room]::uuid[], '{2}', '{41}'), 1, 'a stream that is not named gets an update');
select is(pg_temp.updates(:cave), '{"hls":0,"total":0,"webrtc":0}', 'a stream that is not named has no viewers');
select is(pg_temp.publish(array[:room]::uuid[], '{2}', '{41}'), 0, 'a count of 0 is published once');
select is((select array_agg(stream_id) from sealcast.viewer_counts), array[:room]::uuid[], 'a stream without viewers has no row');
select is(pg_temp.publish(array[:cave]::uuid[], '{0}', '{0}', shards => array[sealcast_internal.shard_of(:cave)]), 0, 'a stream that never had viewers gets no update');

-- Unavailable sources.
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish('{}', '{}', null, complete => false), 1, 'when a source becomes unavailable, each stream with viewers gets an update');
select is(pg_temp.updates(:room), '{"hls":null,"total":null,"webrtc":0}', 'the count of an unavailable source is null, and so is the total');
select is((select count(*) from sealcast.viewer_counts), 1::bigint, 'while a source is unavailable, the row of a stream stays');
select is(pg_temp.publish('{}', null, null, complete => false), 1, 'when the other source becomes unavailable too, the stream gets an update');
select is(pg_temp.publish('{}', '{}', '{}'), 1, 'when both sources return without viewers, the stream gets an update');
select is(pg_temp.updates(:room), '{"hls":null,"total":null,"webrtc":0} {"hls":null,"total":null,"webrtc":null} {"hls":0,"total":0,"webrtc":0}', 'each change of a source is one update');
select is((select count(*) from sealcast.viewer_counts), 0::bigint, 'when both sources count no viewers, the row is deleted');

-- Streams that nobody follows.
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish_followed(:room, 3, '{}'), 0, 'a count that nobody would see is not published');
select is((select count(*) from sealcast.viewer_counts), 0::bigint, 'a count that nobody would see has no row');
select is(pg_temp.publish_followed(:room, 3, array[:cave]::uuid[]), 0, 'a follower of another stream does not count');
select is(pg_temp.publish_followed(:room, 3, array[:cave, :room]::uuid[]), 1, 'a count is published to a stream that somebody follows');
select is(pg_temp.publish_followed(:room, 4, '{}'), 0, 'when nobody follows the stream any more, a changed count is not published');
update sealcast.viewer_counts set published_at = clock_timestamp() - interval '1 h';
select is(pg_temp.publish_followed(:room, 3, '{}'), 0, 'when nobody follows the stream any more, an unchanged count is not published either');
select is(pg_temp.publish_followed(:room, 0, '{}'), 1, 'the count 0 is published once after the last viewer has left');
select is(pg_temp.publish_followed(:room, 3, '{}', webrtc => 1), 1, 'participants of LiveKit follow their stream');
update sealcast.streams set delivery_mode = 'hot' where stream_id = :cave;
select is(pg_temp.publish_followed(:cave, 3, '{}'), 2, 'a stream whose readers were moved is followed');
update sealcast.streams set delivery_mode = 'standard' where stream_id = :cave;
select pg_temp.publish('{}', '{}', '{}') \g /dev/null

-- By which leader.
select is(pg_temp.publish(array[:room]::uuid[], '{1}', '{1}', epoch => 6), 0, 'a former leader publishes nothing');
select is(pg_temp.publish(array[:room]::uuid[], '{1}', '{1}', shards => array[(sealcast_internal.shard_of(:room) + 1) % 4]), 0, 'the leader of another shard publishes nothing');
select is(pg_temp.publish(array[:room]::uuid[], null, '{5}', every_ms => 60000), 1, 'a stream gets an update in a tick');
select is(pg_temp.publish(array[:room]::uuid[], null, '{6}', every_ms => 60000), 0, 'a stream gets no second update in a tick, whatever the count');
select is((select hls from sealcast.viewer_counts where stream_id = :room), 5, 'the published count stays');

-- Streams that take no messages.
update sealcast.streams set closed_at = now() where stream_id = :room;
select pg_temp.forget() \g /dev/null
select is(pg_temp.publish(array[:room, :attic, :nowhere]::uuid[], null, '{7,1,1}'), 1, 'a stream that was closed gets its last update, and one that does not exist gets none');
select is(pg_temp.updates(:room), '{"hls":0,"total":0,"webrtc":null}', 'the last count of a closed stream is 0, so late joiners get no old one');
select is(pg_temp.publish(array[:room, :attic, :nowhere]::uuid[], null, '{7,1,1}'), 0, 'a closed stream gets no further update');
select is((select count(*) from sealcast.viewer_counts), 0::bigint, 'a closed stream, and one that does not exist, have no row');
select throws_ok($$select sealcast_internal.publish_viewer_counts('{}', '{}', '{}', '{}', '{}', true, 99)$$, '22023', null, 'a tick below 100 ms is an error');
select * from finish();
rollback;

-- Row-level security, as each role over every table: how many rows it sees, and what it may insert, update and delete.
begin;
\ir scene.psql
select plan(4);

-- Something in every table, of two streams: the guest may read the room, and is muted there; the cave is private.
\set streams 'unnest(array[' :room ', ' :cave ']::uuid[]) s'
select pg_temp.admit(s, 'chat', :owner, '{}') from :streams \g /dev/null
select sealcast.mute(s, u::uuid) from :streams, unnest(array[:guest, :vip]) u \g /dev/null
insert into sealcast.stream_runs select s, 1, 1, extract(epoch from now()) * 1000, 0, 1 from :streams;
insert into sealcast.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
  values (0, 1, 1, 0, '1:1:', '0', 0, 0, '{}', '{}', '{}');
insert into sealcast.relay_members values ('tap', now());
insert into sealcast.deliveries (transport, shard, epoch, batch) values ('post', 0, 1, 0);
insert into sealcast.delivery_lags (transport, stream_id, shard, next_offset, reason) select 'post', s, 0, 1, 'x' from :streams;
insert into sealcast.dead_letters (transport, stream_id, "offset", reason) select 'post', s, 1, 'x' from :streams;
insert into sealcast.sampling select s, 50, false, now() from :streams;
insert into sealcast.switching (stream_id, step, since) select s, 'hot', now() from :streams;
insert into sealcast.viewer_counts (stream_id, published_at) select s, now() from :streams;
update sealcast.streams set delivery_mode = 'hot' where stream_id in (:room, :cave);
insert into sealcast.cells values ('tap', 'https://tap.example');
insert into sealcast.cell_pins select s, 'tap' from :streams;
insert into sealcast.row_keys values ('sealcast.streams', 'x', 'x');
\echo ---
select c.relname, (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from only sealcast.%I', relname), false, true, '')))[1]::text from pg_class c where relnamespace = 'sealcast'::regnamespace and relkind in ('r','p','v') order by 1;
rollback;

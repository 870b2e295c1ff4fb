-- Viewer counts: the counts of a shard's leader become messages of the system, at most one per stream and tick, and only
-- where somebody follows the stream.

create table sealcast.viewer_counts (
  stream_id uuid primary key,
  webrtc integer,
  hls integer,
  complete boolean not null default true,
  published_at timestamptz not null
) with (fillfactor = 50);
comment on table sealcast.viewer_counts is
  'The newest published count of each stream with viewers. null: the source was unavailable (then complete is false), or is not configured';

-- Ticks follow the clock of the database. The txn_id is derived from stream and tick, so that two sidecars that both
-- consider themselves the leader cannot publish a tick twice.
create function sealcast_internal.publish_viewer_counts(shards integer[], epochs bigint[], stream_ids uuid[],
                                               webrtc integer[], hls integer[], complete boolean,
                                               every_ms integer, followed uuid[] default null,
                                               out published integer, out next_ms integer)
  returns record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  now constant timestamptz := clock_timestamp();
  now_ms constant bigint := floor(extract(epoch from now) * 1000);
  tick constant bigint := now_ms - now_ms % every_ms;
  led constant integer[] := array(select l.shard from sealcast_internal.led(shards, epochs) l);
  due record;
begin
  if (every_ms between 100 and 600000 and complete is not null) is not true then
    raise exception 'invalid every_ms or complete' using errcode = 'invalid_parameter_value',
      hint = 'Pass an every_ms of 100 to 600000, and a complete that is not null.';
  end if;
  select count(*)::integer as streams, array_agg(d.stream_id) as stream_ids, array_agg(d.webrtc) as webrtc,
         array_agg(d.hls) as hls, array_agg(d.total) as totals,
         array_agg(json_build_object('webrtc', d.webrtc, 'hls', d.hls, 'total', d.total)::text) as payloads,
         array_agg(left(encode(sha256(convert_to('viewer_count_update ' || d.stream_id || ' ' || tick, 'UTF8')), 'hex'),
                        32)::uuid) as txn_ids
    into due
  from (
    -- A total that leaves out an unavailable source would be wrong, so it is null.
    select n.*, coalesce(n.webrtc, 0) + coalesce(n.hls, 0) as known,
           case when complete then coalesce(n.webrtc, 0) + coalesce(n.hls, 0) end as total
    from (
      select stream_id,
             case when publish_viewer_counts.webrtc is not null then case when s.closed then 0 else coalesce(c.webrtc, 0) end end as webrtc,
             case when publish_viewer_counts.hls is not null then case when s.closed then 0 else coalesce(c.hls, 0) end end as hls,
             v.published_at, v.webrtc as old_webrtc, v.hls as old_hls,
             -- Who reads a stream of another mode at an outside service is not known, and LiveKit admits its viewers.
             publish_viewer_counts.followed is null or f.stream_id is not null or c.webrtc > 0
               or c.stream_id is not null and coalesce(s.moved, false) as followed
      from unnest(publish_viewer_counts.stream_ids, publish_viewer_counts.webrtc, publish_viewer_counts.hls)
             c (stream_id, webrtc, hls)
      full join sealcast.viewer_counts v using (stream_id)
      left join unnest(publish_viewer_counts.followed) f (stream_id) using (stream_id)
      left join (select s.stream_id, s.delivery_mode <> 'standard' as moved, s.closed_at <= now as closed from sealcast.streams s) s
        using (stream_id)
      where sealcast_internal.shard_of(stream_id) = any (led)) n
    ) d
  where case when d.published_at is null then d.known > 0
             else d.webrtc is distinct from d.old_webrtc or d.hls is distinct from d.old_hls
                  or sealcast_internal.state_lost(d.stream_id, 'viewer_count_update', d.published_at) end
    -- Nobody would see the count, so it stays as it was published, until the last viewer leaves.
    and (d.followed or d.known = 0);

  published := 0;
  if due.streams > 0 then
    with answered as materialized (
      select d.*, a.status, a.replayed
      from unnest(due.stream_ids, due.webrtc, due.hls, due.totals) with ordinality d (stream_id, webrtc, hls, total, item)
      join sealcast.admit(due.stream_ids, array_fill('viewer_count_update'::text, array[due.streams]),
                          array_fill('00000000-0000-0000-0000-000000000000'::uuid, array[due.streams]),
                          due.txn_ids, due.payloads) a on a.item = d.item
    ), kept as (
      insert into sealcast.viewer_counts as v (stream_id, webrtc, hls, complete, published_at)
      select a.stream_id, a.webrtc, a.hls, publish_viewer_counts.complete, now from answered a
      where a.status = 200 and a.total is distinct from 0
      on conflict (stream_id) do update
        set webrtc = excluded.webrtc, hls = excluded.hls, complete = excluded.complete,
            published_at = excluded.published_at
    ), left_alone as (
      -- The stream has no viewers any more, or is deleted, or in another cell.
      delete from sealcast.viewer_counts v using answered a
      where v.stream_id = a.stream_id and (a.status = 200 and a.total = 0 or a.status in (404, 421))
    )
    select count(*) into published from answered a where a.status = 200 and not a.replayed;
  end if;
  -- A quarter of a tick into the next tick, so that the jitter of a clock gives no tick two calls, or none.
  next_ms := every_ms - now_ms % every_ms + every_ms / 4;
end $$;
comment on function sealcast_internal.publish_viewer_counts(integer[], bigint[], uuid[], integer[], integer[], boolean, integer, uuid[]) is
  'Publishes the counts that changed. webrtc or hls null: that source is unavailable or not configured. complete: no source is unavailable, so there is a total. A stream that is not named, or is closed, has no viewers. followed: the streams in which somebody would see a count (null: all)';

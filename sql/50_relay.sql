-- Relaying: who relays which shard, what comes next, and the offset it gets.

-- Renews what the holder has and takes what is free or expired; the holder's name is unique to one process.
-- Returns every shard with its newest batch. Called about every second by each sidecar.
create function sealcast.claim_shards(holder text, lease_ms integer,
                                      out shard integer, out epoch bigint, out mine boolean, out batch bigint)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  own_start constant timestamptz := (select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a);
begin
  if (holder <> '' and lease_ms between 100 and 600000) is not true then
    raise exception 'a holder needs a name and a lease of 100 to 600000 ms' using errcode = 'invalid_parameter_value';
  end if;
  insert into sealcast.relay_members as m (holder, seen_at) values (claim_shards.holder, clock_timestamp())
  on conflict on constraint relay_members_pkey do update set seen_at = excluded.seen_at;

  -- A holder that froze while it was being sent a batch has its drain() still open, and the leases locked with it.
  perform pg_terminate_backend(l.backend)
  from sealcast.relay_leases l cross join lateral pg_stat_get_activity(l.backend) a
  where l.holder <> claim_shards.holder and l.lease_until < clock_timestamp()
    and a.backend_start = l.backend_start and a.wait_event = 'ClientWrite';

  with due as (
    select l.shard from sealcast.relay_leases l
    where l.holder is not distinct from claim_shards.holder or l.lease_until < clock_timestamp()
    order by l.shard for update skip locked
  )
  update sealcast.relay_leases l
  set epoch = l.epoch + case when l.holder is distinct from claim_shards.holder then 1 else 0 end,
      holder = claim_shards.holder,
      lease_until = clock_timestamp() + make_interval(secs => lease_ms / 1000.0),
      backend = pg_backend_pid(),
      backend_start = own_start
  from due where l.shard = due.shard;

  if exists (select from sealcast.relay_leases l where l.shard = 0 and l.holder = claim_shards.holder) then
    perform sealcast.rotate_outbox();
  end if;
  return query
  select l.shard::integer, l.epoch, l.holder is not distinct from claim_shards.holder,
         (sealcast.relay_position(l.shard)).batch
  from sealcast.relay_leases l order by l.shard;
end $$;

create function sealcast.release_shards(holder text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update sealcast.relay_leases l set holder = null, lease_until = '-infinity' where l.holder = release_shards.holder;
  delete from sealcast.relay_members m where m.holder = release_shards.holder;
  -- The others need not wait for their next claim.
  perform sealcast.wake();
end $$;

-- The newest position of a shard; before the first batch, one that has seen nothing.
create function sealcast.relay_position(shard smallint) returns sealcast.relay_log
  language sql stable
  return coalesce(
    (select r from sealcast.relay_log r where r.shard = relay_position.shard order by r.batch desc limit 1),
    (shard, 0, 0, 0, '1:1:', '0', 0, null, null, null, 0, '{}', '{}', '{}')::sealcast.relay_log);

-- The newest offset of a stream. Looks into the last day first, where a live stream's is, then everywhere: logged_at
-- never falls within a shard (see drain_group()), so nothing newer is elsewhere.
create function sealcast.last_offset(stream_id uuid) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  -- Known when the plan starts, so that it opens no other partition.
  since constant bigint := extract(epoch from now())::bigint * 1000 - 86400000;
  found_offset bigint;
begin
  select l."offset" into found_offset from sealcast.stream_log l
  where l.stream_id = last_offset.stream_id and l.logged_at >= since order by l."offset" desc limit 1;
  if not found then
    select l."offset" into found_offset from sealcast.stream_log l
    where l.stream_id = last_offset.stream_id order by l."offset" desc limit 1;
  end if;
  return coalesce(found_offset,
    (select s.trimmed_through from sealcast.streams s where s.stream_id = last_offset.stream_id), 0);
end $$;

-- The next rows of the outbox for shards that stand at one position, in order of message_id: what was sent after another
-- message was committed comes after it, whichever transaction began first. What became visible between two snapshots was
-- in the first one's list of running transactions, or beyond its xmax; all are index ranges, so a drain costs what is
-- new, whatever was rolled back and however long somebody's transaction runs.
create function sealcast.next_rows(shards integer[], seen pg_snapshot, seen_xid xid8, seen_id bigint, target pg_snapshot,
                                   after_id bigint, max_rows integer)
  returns setof sealcast.outbox
  language plpgsql stable rows 1000 set search_path = pg_catalog, pg_temp
  -- Ordered index ranges, each ended by its limit: never a sort of the whole backlog.
  set plan_cache_mode = force_generic_plan set enable_nestloop = on set enable_seqscan = off set enable_bitmapscan = off
  set jit = off as $$
declare
  was_running constant xid8[] := array(select pg_snapshot_xip(seen));
  seen_xmax constant xid8 := pg_snapshot_xmax(seen);
begin
  return query
  -- `+ 0` and `is true` leave the planner one index: by xid for those who had been running, by message_id for newcomers.
  (select * from sealcast.outbox o
   where o.xid = any (was_running) and o.message_id + 0 > after_id
     and o.shard = any (shards) and pg_visible_in_snapshot(o.xid, target)
   order by o.message_id + 0 limit max_rows)
  union all
  (select * from sealcast.outbox o
   where o.xid >= seen_xmax and o.xid <= seen_xid and o.message_id + 0 > after_id
     and o.shard = any (shards) and pg_visible_in_snapshot(o.xid, target)
   order by o.message_id + 0 limit max_rows)
  union all
  (select * from sealcast.outbox o
   where o.message_id > greatest(seen_id, after_id) and (o.xid >= seen_xmax and o.xid > seen_xid) is true
     and o.shard = any (shards) and pg_visible_in_snapshot(o.xid, target)
   order by o.message_id limit max_rows)
  order by message_id limit max_rows;
end $$;

-- Relays the next batch of shards that stand at one position: numbers it, logs it, moves the position. One statement.
create function sealcast.drain_group(shards integer[], epochs bigint[], seen pg_snapshot, seen_xid xid8, seen_id bigint,
                                     target pg_snapshot, target_xid xid8, target_id bigint, after_id bigint,
                                     max_rows integer,
                                     out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                                     out prev bigint, out envelope text)
  returns setof record
  language plpgsql rows 1000 set search_path = pg_catalog, pg_temp
  -- Sets of one drain, whose size the planner cannot know: hash them. (That makes plans look dear enough to compile.)
  -- Nor a plan from before midnight, when today's partitions were empty, that reads them from end to end.
  set plan_cache_mode = force_generic_plan set enable_nestloop = off set enable_mergejoin = off
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  -- Never earlier than the batch before, whatever the clock does.
  logged_at constant bigint := (
    select greatest(floor(extract(epoch from clock_timestamp()) * 1000), max((sealcast.relay_position(s::smallint)).logged_at))
    from unnest(shards) s);
begin
  return query
  with relayed as materialized (
    select * from sealcast.next_rows(shards, seen, seen_xid, seen_id, target, after_id, max_rows)
  ),
  -- One look-up of the last offset a stream, not a message.
  head as materialized (
    select d.stream_id, sealcast.last_offset(d.stream_id) as last from (select distinct r.stream_id from relayed r) d
  ),
  numbered as materialized (
    select r.*, h.last + row_number() over (partition by r.stream_id order by r.message_id) as "offset"
    from relayed r join head h on h.stream_id = r.stream_id
  ),
  logged as (
    insert into sealcast.stream_log (stream_id, "offset", logged_at, ts, message_id)
    select m.stream_id, m."offset", logged_at, m.ts, m.message_id from numbered m
  ),
  runs as (
    select run.shard, array_agg(run.stream_id) as stream_ids, array_agg(run.first) as firsts, array_agg(run.last) as lasts
    from (select m.shard, m.stream_id, min(m."offset") as first, max(m."offset") as last
          from numbered m group by m.shard, m.stream_id) run
    group by run.shard
  ),
  -- Where the position goes: past the window, or to the last row of a batch that filled up before its end.
  stop as materialized (
    select count(*) < max_rows as complete, max(r.message_id) as last_id from relayed r having count(*) > 0
  ),
  noted as (
    insert into sealcast.relay_log as l (shard, batch, epoch, logged_at, seen, seen_xid, seen_id,
                                         target, target_xid, target_id, after_id, stream_ids, first_offsets, last_offsets)
    -- Every shard of the group gets a row, also one that had nothing, so that they go on standing at one position.
    select s.shard, (sealcast.relay_position(s.shard::smallint)).batch + 1, s.epoch, logged_at,
           case when stop.complete then drain_group.target else drain_group.seen end,
           case when stop.complete then drain_group.target_xid else drain_group.seen_xid end,
           case when stop.complete then drain_group.target_id else drain_group.seen_id end,
           case when not stop.complete then drain_group.target end,
           case when not stop.complete then drain_group.target_xid end,
           case when not stop.complete then drain_group.target_id end,
           case when stop.complete then 0 else stop.last_id end,
           coalesce(runs.stream_ids, '{}'), coalesce(runs.firsts, '{}'), coalesce(runs.lasts, '{}')
    from stop cross join unnest(shards, epochs) s (shard, epoch) left join runs on runs.shard = s.shard
    returning l.shard, l.batch
  )
  select b.shard::integer, b.batch, m.stream_id, m."offset", m."offset" - 1,
         (select sealcast.envelope(original) from sealcast.messages original
          where original.ts = m.ts and original.message_id = m.message_id)
  from noted b left join numbered m on m.shard = b.shard
  order by m.message_id;
end $$;

-- The current snapshot with this transaction among the running: what it may yet insert must not count as relayed.
create function sealcast.committed_snapshot() returns pg_snapshot
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select case when own >= pg_snapshot_xmax(now) then now else
    format('%s:%s:%s', least(own, pg_snapshot_xmin(now)), pg_snapshot_xmax(now),
           (select string_agg(x::text, ',' order by x) from (select pg_snapshot_xip(now) union select own) running (x)))::pg_snapshot
    end
  from (select pg_current_snapshot(), pg_current_xact_id()) s (now, own);
end;

-- Relays what comes next for the holder's shards. No row = nothing is left; a row whose stream_id is null = that shard's
-- batch is empty. A shard whose epoch is not the caller's any more is skipped: its next claim_shards() tells.
create function sealcast.drain(holder text, shards integer[], epochs bigint[], max_rows integer,
                               out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                               out prev bigint, out envelope text)
  returns setof record
  language plpgsql rows 1000 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  spot record;
  -- Read before this transaction has its xid: who gets a later one gets later message_ids too.
  newest_id constant bigint := case when pg_current_xact_id_if_assigned() is null
    then (select last_value - case when is_called then 0 else 1 end from sealcast.message_ids) else 0 end;
  own_xid constant xid8 := pg_current_xact_id();
  relayed bigint := 0;
  in_group bigint;
begin
  if (max_rows between 1 and 100000) is not true then
    raise exception 'max_rows must be 1 to 100000, not %', max_rows using errcode = 'invalid_parameter_value';
  end if;
  -- Holding the lease rows keeps a successor out until this transaction has ended.
  perform from sealcast.relay_leases l
  join unnest(drain.shards, drain.epochs) c (shard, epoch) on c.shard = l.shard and c.epoch = l.epoch
  where l.holder = drain.holder order by l.shard for update of l;

  for spot in
    select array_agg(l.shard::integer order by l.shard) as shards, array_agg(l.epoch order by l.shard) as epochs,
           p.seen::text::pg_snapshot as seen, p.seen_xid, p.seen_id,
           p.target::text::pg_snapshot as target, p.target_xid, p.target_id, p.after_id
    from sealcast.relay_leases l
    join unnest(drain.shards, drain.epochs) c (shard, epoch) on c.shard = l.shard and c.epoch = l.epoch
    cross join lateral sealcast.relay_position(l.shard) p
    where l.holder = drain.holder
    group by p.seen::text, p.seen_xid, p.seen_id, p.target::text, p.target_xid, p.target_id, p.after_id
  loop
    return query select * from sealcast.drain_group(spot.shards, spot.epochs, spot.seen, spot.seen_xid, spot.seen_id,
      coalesce(spot.target, sealcast.committed_snapshot()), coalesce(spot.target_xid, own_xid), coalesce(spot.target_id, newest_id),
      spot.after_id, max_rows);
    get diagnostics in_group = row_count;
    if in_group = 0 and spot.target is not null then
      -- The window that was begun earlier is exhausted; the next one starts where it ends.
      return query select * from sealcast.drain_group(spot.shards, spot.epochs, spot.target, spot.target_xid,
        spot.target_id, sealcast.committed_snapshot(), own_xid, newest_id, 0, max_rows);
      get diagnostics in_group = row_count;
    end if;
    relayed := relayed + in_group;
  end loop;

  if relayed > 0 and exists (select from sealcast.relay_members m
                             where m.holder <> drain.holder and m.seen_at > clock_timestamp() - interval '10 s') then
    perform sealcast.wake();
  end if;
end $$;

-- What other sidecars relayed after the given batches, in the shape of drain().
create function sealcast.tail(shards integer[], after_batches bigint[], max_batches integer,
                              out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                              out prev bigint, out envelope text)
  returns setof record
  language plpgsql stable rows 1000 security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select r.shard::integer, r.batch, l.stream_id, l."offset", l."offset" - 1,
         (select sealcast.envelope(m) from sealcast.messages m where m.ts = l.ts and m.message_id = l.message_id)
  from unnest(tail.shards, tail.after_batches) c (shard, after)
  cross join lateral (
    select * from sealcast.relay_log r where r.shard = c.shard and r.batch > c.after
    order by r.batch limit max_batches) r
  left join lateral unnest(r.stream_ids, r.first_offsets, r.last_offsets) run (stream_id, first, last) on true
  -- With its own order it stays one look-up a run, into the one partition that logged_at names.
  left join lateral (
    select * from sealcast.stream_log l
    where l.stream_id = run.stream_id and l."offset" between run.first and run.last and l.logged_at = r.logged_at
    order by l."offset") l on true
  order by r.shard, r.batch, l.stream_id, l."offset";
end $$;
comment on function sealcast.tail(integer[], bigint[], integer) is
  'A batch that holds nothing for the shard is one row whose stream_id is null';

create function sealcast.settle(transport text, shards integer[], epochs bigint[], batches bigint[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast.deliveries as d (transport, shard, batch, settled_at)
  select settle.transport, c.shard, c.batch, clock_timestamp()
  from unnest(settle.shards, settle.epochs, settle.batches) c (shard, epoch, batch)
  join sealcast.relay_leases l on l.shard = c.shard and l.epoch = c.epoch
  on conflict on constraint deliveries_pkey do update set batch = excluded.batch, settled_at = excluded.settled_at
    where d.batch < excluded.batch;
end $$;

-- Truncates the segments whose every row is relayed, and moves on to an empty one when the current one has grown.
create function sealcast.rotate_outbox(segment_bytes bigint default 33554432) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set lock_timeout = '20ms' set enable_seqscan = off as $$
declare
  current_segment constant integer := (select last_value from sealcast.outbox_segment);
  next_segment constant integer := (current_segment + 1) % 3;
  -- Not visible in a snapshot is what is not below its xmax, or in its list: two index ranges.
  has_unrelayed constant text := 'select exists (
    select from sealcast.relay_leases l cross join lateral sealcast.relay_position(l.shard) p
    where exists (select from %1$s o where o.xid >= pg_snapshot_xmax(p.seen) and o.shard = l.shard)
       or exists (select from %1$s o where o.xid = any (array(select pg_snapshot_xip(p.seen))) and o.shard = l.shard))';
  segment integer;
  segment_table text;
  unrelayed boolean;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    return;  -- Its snapshot, older than the lock, would not see what was committed last.
  end if;
  for segment in select i from generate_series(0, 2) i where i <> current_segment loop
    segment_table := format('sealcast.outbox_%s', segment);
    continue when pg_relation_size(segment_table::regclass) = 0;
    execute format(has_unrelayed, segment_table) into unrelayed;
    continue when unrelayed;
    begin
      -- Nobody who could still insert holds it then; what they committed is seen by the next statement's snapshot.
      execute format('lock table %s in access exclusive mode', segment_table);
      execute format(has_unrelayed, segment_table) into unrelayed;
      if not unrelayed then
        execute format('truncate table %s', segment_table);
      end if;
    exception when lock_not_available then
      null;  -- An open transaction inserted into it: a later call will find it closed.
    end;
  end loop;
  if pg_relation_size(format('sealcast.outbox_%s', current_segment)::regclass) > segment_bytes
     and pg_relation_size(format('sealcast.outbox_%s', next_segment)::regclass) = 0 then
    perform setval('sealcast.outbox_segment', next_segment);
  end if;
end $$;
comment on function sealcast.rotate_outbox(bigint) is 'Called by claim_shards(); segments are 32 MiB by default';

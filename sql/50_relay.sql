-- Relaying: who relays which shard, what comes next, and the offset it gets.

-- Renews what the holder has and takes what is free or expired. Returns every shard with its newest batch. Called about
-- every second by each sidecar, on the connection on which it drains: a lease is that connection's, and its epoch ends
-- with it. A drain whose answer was lost may still be under way; what it commits is then read by tail(), and none that
-- comes later passes for one of the new connection's. So two that share a name do no harm, but take turns in vain.
create function sealcast.claim_shards(holder text, lease_ms integer,
                                      out shard integer, out epoch bigint, out mine boolean, out batch bigint)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
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
  set epoch = l.epoch + case when (l.holder, l.backend, l.backend_start)
                                  is distinct from (claim_shards.holder, pg_backend_pid(), own_start) then 1 else 0 end,
      holder = claim_shards.holder,
      lease_until = clock_timestamp() + make_interval(secs => lease_ms / 1000.0),
      backend = pg_backend_pid(),
      backend_start = own_start
  from due where l.shard = due.shard;

  if exists (select from sealcast.relay_leases l where l.shard = 0 and l.holder = claim_shards.holder) then
    perform sealcast.rotate_outbox();
  end if;
  return query
  select l.shard::integer, l.epoch,
         (l.holder, l.backend, l.backend_start) is not distinct from (claim_shards.holder, pg_backend_pid(), own_start),
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

create function sealcast.last_offset(stream_id uuid) returns bigint
  language c stable strict as 'MODULE_PATHNAME', 'sealcast_last_offset';
comment on function sealcast.last_offset(uuid) is
  'The newest offset of a stream; 0 before the first message';

-- Relays what comes next for the holder's shards (extension/pg/drain.cpp). No row = nothing is left; a row whose
-- stream_id is null = that shard's batch is empty; whose public_prev is null = not on the public channel.
create function sealcast.drain(holder text, shards integer[], epochs bigint[], max_rows integer,
                               out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                               out prev bigint, out envelope text, out public_prev bigint)
  returns setof record
  language c rows 1000 security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_drain';

-- What other sidecars relayed after the given batches, in the shape of drain().
create function sealcast.tail(shards integer[], after_batches bigint[], max_batches integer,
                              out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                              out prev bigint, out envelope text, out public_prev bigint)
  returns setof record
  language plpgsql stable rows 1000 security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select r.shard::integer, r.batch, l.stream_id, l."offset" + l.i, l."offset" + l.i - 1,
         (select sealcast.envelope(m) from sealcast.messages m where m.ts = l.ts and m.message_id = l.first_id + l.i),
         sealcast.public_prev(l."offset", l.public_before, l.public_bits, l.i)
  from unnest(tail.shards, tail.after_batches) c (shard, after)
  cross join lateral (
    select * from sealcast.relay_log r where r.shard = c.shard and r.batch > c.after
    order by r.batch limit max_batches) r
  left join lateral unnest(r.stream_ids, r.first_offsets, r.last_offsets) run (stream_id, first, last) on true
  -- With its own order it stays one look-up a run, into the one partition that logged_at names.
  left join lateral (
    select l.*, i from (
      select * from sealcast.stream_runs l
      where l.stream_id = run.stream_id and l."offset" between run.first and run.last and l.logged_at = r.logged_at
      order by l."offset") l
    cross join lateral generate_series(0, l.messages - 1) i) l on true
  order by r.shard, r.batch, l.stream_id, l."offset" + l.i;
end $$;
comment on function sealcast.tail(integer[], bigint[], integer) is
  'A batch that holds nothing for the shard is one row whose stream_id is null';

-- Truncates the segments whose every row is relayed, and moves on to an empty one when the current one has grown.
create function sealcast.rotate_outbox(segment_bytes bigint default 33554432) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set lock_timeout = '20ms' set enable_seqscan = off set jit = off as $$
declare
  current_segment constant integer := (select last_value from sealcast.outbox_segment);
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
    begin
      -- Even looking waits while another caller truncates.
      continue when pg_relation_size(segment_table::regclass) = 0;
      execute format(has_unrelayed, segment_table) into unrelayed;
      continue when unrelayed;
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
  begin
    if pg_relation_size(format('sealcast.outbox_%s', current_segment)::regclass) > segment_bytes then
      -- The next one may be held by an open transaction; then it is the one after that.
      perform setval('sealcast.outbox_segment', e.segment)
      from (select (current_segment + step) % 3 from generate_series(1, 2) step order by step) e (segment)
      where pg_relation_size(format('sealcast.outbox_%s', e.segment)::regclass) = 0
      limit 1;
    end if;
  exception when lock_not_available then
    null;
  end;
end $$;
comment on function sealcast.rotate_outbox(bigint) is 'Called by claim_shards(); segments are 32 MiB by default';

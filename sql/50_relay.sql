-- The relay: leases of shards, draining the outbox, tailing other sidecars, and truncating the outbox.

-- Renews the leases of the holder, and takes shards that are free or whose lease has expired. Returns every shard with
-- its newest batch and the time of that batch, and the epoch of the log. Each sidecar calls it about every second, on
-- the connection on which it drains.
-- A lease belongs to that connection, and its epoch ends with the connection. The reason: a drain whose answer was lost
-- may still be running. tail() reads the messages that it commits, and any later drain of the old connection has an old
-- epoch.
-- Two sidecars with the same name do no harm, but they take the leases from each other again and again.
-- The leader of a shard also delivers it, with the transports that it has. So a holder releases its leases, and takes
-- none, while a live sidecar has more transports. That sidecar claims at the latest a second later.
create function sealcast_internal.claim_shards(holder text, lease_ms integer, transports text[] default '{}',
                                      out shard integer, out epoch bigint, out mine boolean, out batch bigint,
                                      out logged_at bigint, out log_epoch text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  own_start constant timestamptz := (select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a);
  lease constant interval := make_interval(secs => lease_ms / 1000.0);
  gives_way boolean;
begin
  if (holder <> '' and lease_ms between 100 and 600000 and transports is not null) is not true then
    raise exception 'invalid holder, lease_ms or transports' using errcode = 'invalid_parameter_value',
      detail = format('holder is %L, lease_ms is %L and transports is %L.', holder, lease_ms, transports),
      hint = 'Pass a name as holder, a lease_ms of 100 to 600000, and the names of the transports.';
  end if;
  insert into sealcast_internal.relay_members as m (holder, seen_at, transports)
  values (claim_shards.holder, clock_timestamp(), claim_shards.transports)
  on conflict on constraint relay_members_pkey do update set seen_at = excluded.seen_at, transports = excluded.transports;
  -- A sidecar that was not seen for the time of a lease has lost its leases, so they can be taken without a delay.
  gives_way := exists (
    select from sealcast_internal.relay_members m
    where m.holder <> claim_shards.holder and m.seen_at > clock_timestamp() - lease
      and cardinality(m.transports) > cardinality(claim_shards.transports));
  perform sealcast_internal.follow_server();

  -- A holder that froze while it received a batch keeps its drain() open, and keeps the leases locked. End its backend.
  perform pg_terminate_backend(l.backend)
  from sealcast_internal.relay_leases l cross join lateral pg_stat_get_activity(l.backend) a
  where l.holder <> claim_shards.holder and l.lease_until < clock_timestamp()
    and a.backend_start = l.backend_start and a.wait_event = 'ClientWrite';

  if gives_way then
    update sealcast_internal.relay_leases l set holder = null, lease_until = '-infinity' where l.holder = claim_shards.holder;
  end if;
  with due as (
    select l.shard from sealcast_internal.relay_leases l
    where not gives_way and (l.holder is not distinct from claim_shards.holder or l.lease_until < clock_timestamp())
    order by l.shard for update skip locked
  )
  update sealcast_internal.relay_leases l
  set epoch = l.epoch + case when (l.holder, l.backend, l.backend_start)
                                  is distinct from (claim_shards.holder, pg_backend_pid(), own_start) then 1 else 0 end,
      holder = claim_shards.holder,
      lease_until = clock_timestamp() + lease,
      backend = pg_backend_pid(),
      backend_start = own_start
  from due where l.shard = due.shard;

  if exists (select from sealcast_internal.relay_leases l where l.shard = 0 and l.holder = claim_shards.holder) then
    perform sealcast_internal.rotate_outbox();
  end if;
  return query
  select l.shard::integer, l.epoch,
         (l.holder, l.backend, l.backend_start) is not distinct from (claim_shards.holder, pg_backend_pid(), own_start),
         p.batch, p.logged_at, sealcast.log_epoch()
  from sealcast_internal.relay_leases l cross join lateral sealcast_internal.relay_position(l.shard) p order by l.shard;
end $$;

create function sealcast_internal.release_shards(holder text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update sealcast_internal.relay_leases l set holder = null, lease_until = '-infinity' where l.holder = release_shards.holder;
  delete from sealcast_internal.relay_members m where m.holder = release_shards.holder;
  -- Wakes the other sidecars. They take the free leases at their next claim, within a second.
  perform sealcast_internal.wake();
end $$;

-- Returns the newest position of a shard. Before the first batch it returns a position that has seen nothing.
create function sealcast_internal.relay_position(shard smallint) returns sealcast_internal.relay_log
  language sql stable
  return coalesce(
    (select r from sealcast_internal.relay_log r where r.shard = relay_position.shard order by r.batch desc limit 1),
    (shard, 0, 0, 0, '1:1:', '0', 0, null, null, null, 0, '{}', '{}', '{}')::sealcast_internal.relay_log);

create function sealcast_internal.last_offset(stream_id uuid) returns bigint
  language c stable strict as 'MODULE_PATHNAME', 'sealcast_last_offset';
comment on function sealcast_internal.last_offset(uuid) is
  'Returns the newest offset of a stream; 0 before the first message';

-- Gives the next offsets to committed messages of the holder's shards, and returns the frames
-- (extension/relay/drain.cpp). No row: nothing is left. stream_id null: the batch of that shard is empty. public_prev
-- null: the message is not on the public channel. redacted: the member of the frame; null: the message is not redacted.
-- retained: the type of the message is retained, so the state of the stream may have changed.
create function sealcast_internal.drain(holder text, shards integer[], epochs bigint[], max_rows integer,
                               out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                               out prev bigint, out envelope text, out public_prev bigint, out redacted text, out retained boolean)
  returns setof record
  language c rows 1000 security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_drain';

-- Returns the member `redacted` of the frame of a redacted message.
create function sealcast_internal.redacted_member(ts bigint, message_id bigint) returns text
  language sql stable
begin atomic
  select sealcast_internal.redaction_text(r.redacted_by, r.redacted_at, r.reason)
  from sealcast.redactions r where r.ts = redacted_member.ts and r.message_id = redacted_member.message_id;
end;

-- Returns the batches that other sidecars drained after the given batches, with the columns of drain().
create function sealcast_internal.tail(shards integer[], after_batches bigint[], max_batches integer,
                              out shard integer, out batch bigint, out stream_id uuid, out "offset" bigint,
                              out prev bigint, out envelope text, out public_prev bigint, out redacted text, out retained boolean)
  returns setof record
  language plpgsql stable rows 1000 security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select r.shard::integer, r.batch, l.stream_id, l."offset" + l.i, l."offset" + l.i - 1,
         m.envelope, sealcast_internal.public_prev(l."offset", l.public_before, l.public_bits, l.i), m.redacted,
         coalesce(m.t = any (array(select y.t from sealcast.message_types y where y.retained)), false)
  from unnest(tail.shards, tail.after_batches) c (shard, after)
  cross join lateral (
    select * from sealcast_internal.relay_log r where r.shard = c.shard and r.batch > c.after
    order by r.batch limit max_batches) r
  left join lateral unnest(r.stream_ids, r.first_offsets, r.last_offsets) run (stream_id, first, last) on true
  -- The inner ORDER BY keeps this one look-up per run, in the one partition that logged_at names.
  left join lateral (
    select l.*, i from (
      select * from sealcast.stream_runs l
      where l.stream_id = run.stream_id and l."offset" between run.first and run.last and l.logged_at = r.logged_at
      order by l."offset") l
    cross join lateral generate_series(0, l.messages - 1) i) l on true
  left join lateral (
    select m.t, sealcast.envelope(m) as envelope, case when m.d is null then sealcast_internal.redacted_member(m.ts, m.message_id) end as redacted
    from sealcast.messages m where m.ts = l.ts and m.message_id = l.first_id + l.i) m on true
  order by r.shard, r.batch, l.stream_id, l."offset" + l.i;
end $$;
comment on function sealcast_internal.tail(integer[], bigint[], integer) is
  'Returns the batches that other sidecars drained. An empty batch of a shard is one row whose stream_id is null';

-- Returns whether a segment of the outbox has a row that is not relayed. It reads with a new snapshot, also in a
-- transaction whose isolation level keeps an older one.
create function sealcast_internal.has_unrelayed(segment integer) returns boolean
  language c volatile strict as 'MODULE_PATHNAME', 'sealcast_has_unrelayed';

-- Truncates each segment whose rows are all relayed. Switches to an empty segment when the current one has grown.
create function sealcast_internal.rotate_outbox(segment_bytes bigint default 33554432) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set lock_timeout = '20ms' set enable_seqscan = off set jit = off as $$
declare
  current_segment constant integer := (select last_value from sealcast_internal.outbox_segment);
  segment integer;
  segment_table text;
begin
  for segment in select i from generate_series(0, 2) i where i <> current_segment loop
    segment_table := format('sealcast_internal.outbox_%s', segment);
    begin
      -- pg_relation_size() also waits while another caller truncates.
      continue when pg_relation_size(segment_table::regclass) = 0;
      continue when sealcast_internal.has_unrelayed(segment);
      -- Once the lock is held, every transaction that has inserted into the segment has ended.
      execute format('lock table %s in access exclusive mode', segment_table);
      if not sealcast_internal.has_unrelayed(segment) then
        execute format('truncate table %s', segment_table);
      end if;
    exception when lock_not_available then
      null;  -- An open transaction has inserted into the segment; a later call retries.
    end;
  end loop;
  begin
    if pg_relation_size(format('sealcast_internal.outbox_%s', current_segment)::regclass) > segment_bytes then
      -- An open transaction may keep the next segment from being truncated. Then take the segment after it.
      perform setval('sealcast_internal.outbox_segment', e.segment)
      from (select (current_segment + step) % 3 from generate_series(1, 2) step order by step) e (segment)
      where pg_relation_size(format('sealcast_internal.outbox_%s', e.segment)::regclass) = 0
      limit 1;
    end if;
  exception when lock_not_available then
    null;
  end;
end $$;
comment on function sealcast_internal.rotate_outbox(bigint) is 'Truncates the relayed segments of the outbox; claim_shards() calls it. A segment has 32 MiB by default';

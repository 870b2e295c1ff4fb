-- Checks that every message has its effects, and sends redis_events back when Redis has lost the partitions.

-- Returns the differences between the messages committed in a span of time and the effects of a handler. Problems:
-- missing (no effect: read the dead letters first, then replay), failing (will be retried), dead (a dead letter), stray
-- (an effect without a message; an erased message whose key in txn_keys is kept was a message).
create function sealcast.check_effects(handler text, since timestamptz default null, until timestamptz default null,
                                       max_rows integer default 1000,
                                       out problem text, out stream_id uuid, out "offset" bigint, out sender_id uuid,
                                       out txn_id uuid, out ts timestamptz)
  returns setof record
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  -- Reads by the keys, also while the tables have no statistics yet.
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  h sealcast.event_handlers;
  from_ms bigint;
  until_ms constant bigint := floor(extract(epoch from coalesce(until, clock_timestamp())) * 1000);
begin
  select * into h from sealcast.event_handlers e where e.name = check_effects.handler;
  if not found then
    raise exception 'handler % does not exist', handler using errcode = 'undefined_object',
      hint = 'Use a name of the table sealcast.event_handlers.';
  end if;
  -- Messages that are older than the kept effects cannot be compared.
  from_ms := greatest(floor(extract(epoch from coalesce(since, h.registered_at)) * 1000)::bigint, h.effects_from);
  return query
  select found.problem, found.stream_id, r."offset" + found.message_id - r.first_id, found.sender_id, found.txn_id,
         to_timestamp(found.ts / 1000.0)
  from (
    select case when exists (select from sealcast.event_dead_letters d
                             where d.handler = h.name and d.sender_id = m.sender_id and d.txn_id = m.txn_id) then 'dead'
                when exists (select from sealcast.event_attempts a
                             where a.handler = h.name and a.sender_id = m.sender_id and a.txn_id = m.txn_id) then 'failing'
                else 'missing' end as problem,
           m.stream_id, m.message_id, m.sender_id, m.txn_id, m.ts
    from sealcast.messages m
    where m.ts >= from_ms and m.ts < until_ms and (h.t is null or m.t = h.t)
      and not exists (select from sealcast.event_effects e
                      where e.handler = h.name and e.sender_id = m.sender_id and e.txn_id = m.txn_id)
    union all
    select 'stray', null, null, e.sender_id, e.txn_id, e.ts
    from sealcast.event_effects e
    where e.handler = h.name and e.ts >= from_ms and e.ts < until_ms
      and not exists (select from sealcast.messages m
                      where m.ts = e.ts and m.sender_id = e.sender_id and m.txn_id = e.txn_id)
      and not exists (select from sealcast.txn_keys k
                      where k.sender_id = e.sender_id and k.txn_id = e.txn_id and k.ts = e.ts)
    order by 6 limit max_rows) found
  -- All messages of a run have the ts of the run.
  left join sealcast.stream_runs r on r.stream_id = found.stream_id and r.ts = found.ts and r.logged_at >= from_ms - 60000
    and found.message_id between r.first_id and r.first_id + r.messages - 1
  order by found.ts;
end $$;
comment on function sealcast.check_effects(text, timestamptz, timestamptz, integer) is
  'Compares the messages of a span of time (since null: from the handler''s registration; until null: to now) with the effects of a handler. No row: every message was applied once';

-- Returns the messages to publish again: of each stream, the offsets that were relayed since the given time.
create function sealcast_internal.replay_plan(since timestamptz, only_stream uuid default null,
                                     out stream_id uuid, out first_offset bigint, out last_offset bigint)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.stream_id, min(r."offset"), max(r."offset" + r.messages - 1)
  from sealcast.stream_runs r
  where r.logged_at >= floor(extract(epoch from since) * 1000)::bigint
    and r.stream_id = coalesce(only_stream, r.stream_id)
  group by r.stream_id order by r.stream_id;
end;

-- The newest entry id (ms-seq) that sidecars have added to each partition. A Redis that is behind it has lost entries.
create table sealcast_internal.event_partitions (
  partition integer primary key,
  last_ms bigint not null,
  last_seq bigint not null
) with (fillfactor = 50);
comment on table sealcast_internal.event_partitions is 'The newest recorded entry of each partition of redis_events';

-- Returns at least one row; partition null: no partition is recorded. carrying: every shard has gone back as far as the
-- last rewind_events() asked. partitions: their number; null: event_partition_count() was not called yet.
create function sealcast_internal.event_partitions_state(out losses bigint, out carrying boolean, out partition integer,
                                                out last_ms bigint, out last_seq bigint, out partitions integer)
  returns setof record
  -- Without statistics the planner expects millions of rows, and JIT would take a second for a few.
  language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
begin atomic
  select l.losses,
         not exists (select from sealcast.deliveries d where d.transport = 'redis_events' and d.seen_at <= l.rewound_at),
         p.partition, p.last_ms, p.last_seq, l.partitions
  from sealcast_internal.event_losses l left join sealcast_internal.event_partitions p on true;
end;

create function sealcast_internal.note_event_partitions(losses bigint, partitions integer[], last_ms bigint[], last_seq bigint[])
  returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into sealcast_internal.event_partitions as p (partition, last_ms, last_seq)
  select n.partition, n.ms, n.seq from unnest(partitions, last_ms, last_seq) n (partition, ms, seq)
  where exists (select from sealcast_internal.event_losses l where l.losses = note_event_partitions.losses)
  on conflict (partition) do update set last_ms = excluded.last_ms, last_seq = excluded.last_seq
  where (p.last_ms, p.last_seq) < (excluded.last_ms, excluded.last_seq);
end;

-- Called when Redis has lost the partitions; `losses` is the number of losses that the caller knew before. Sends
-- redis_events back, in all shards, to the time up to which the slowest group had finished. New epochs make every
-- sidecar start from there. Returns null when another caller has done this already.
create function sealcast_internal.rewind_events(losses bigint, out since timestamptz, out complete boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  back_to bigint;
begin
  -- The order in which begin_log_epoch() locks.
  perform from sealcast_internal.relay_leases l order by l.shard for update;
  update sealcast_internal.event_losses l set losses = l.losses + 1, rewound_at = clock_timestamp()
  where l.losses = rewind_events.losses;
  if not found then
    return;
  end if;
  delete from sealcast_internal.event_partitions;
  select min(coalesce(l.finished_to, floor(extract(epoch from h.registered_at) * 1000)::bigint)) into back_to
  from sealcast.event_handlers h left join sealcast_internal.event_leases l on l.group_name = h.group_name
  where h.active;
  since := to_timestamp(back_to / 1000.0);
  -- The first batch of a shard is 1; a shard at 0 has relayed nothing. Messages before the oldest batch that is kept need
  -- a replay.
  complete := not exists (
    select from sealcast.deliveries d
    where d.transport = 'redis_events' and (sealcast_internal.relay_position(d.shard::smallint)).batch > 0
      and not exists (select from sealcast_internal.relay_log r where r.shard = d.shard and (r.batch = 1 or r.logged_at < back_to)));
  update sealcast.deliveries d set batch = least(d.batch, coalesce(
    (select r.batch from sealcast_internal.relay_log r where r.shard = d.shard and r.logged_at < back_to order by r.batch desc limit 1),
    (select min(r.batch) - 1 from sealcast_internal.relay_log r where r.shard = d.shard), d.batch))
  where d.transport = 'redis_events' and back_to is not null;
  delete from sealcast.delivery_lags g where g.transport = 'redis_events';
  update sealcast_internal.relay_leases l set epoch = l.epoch + 1;
end $$;
comment on function sealcast_internal.rewind_events(bigint) is
  'Makes redis_events publish again the events that the slowest group had not finished. complete false: older messages need sealcastd replay';

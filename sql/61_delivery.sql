-- Delivery to outside services: the progress of each transport, the streams that lag, and the dead letters. Invariant:
-- only the leader of a shard delivers it, and each statement that records its progress names the epoch of the lease.

create table sealcast.deliveries (
  transport text not null,
  shard smallint not null,
  batch bigint not null,
  settled_at timestamptz not null,
  seen_at timestamptz not null,
  primary key (transport, shard)
) with (fillfactor = 50);
comment on table sealcast.deliveries is 'The cursor of each transport in each shard. It does not count for streams that lag';
comment on column sealcast.deliveries.seen_at is 'When a sidecar last recorded anything for this transport';

-- A stream has a cursor of its own when the outside service accepts its frames too slowly, or rejects them. So the
-- other streams of the shard go on.
create table sealcast.delivery_lags (
  transport text not null,
  stream_id uuid not null,
  next_offset bigint not null,
  reason text not null,
  since timestamptz not null default clock_timestamp(),
  primary key (transport, stream_id)
) with (fillfactor = 50);
comment on table sealcast.delivery_lags is 'Streams that a transport delivers apart from their shard, from next_offset on';

create table sealcast.dead_letters (
  transport text not null,
  stream_id uuid not null,
  "offset" bigint not null,
  reason text not null,
  attempts integer not null,
  failed_at timestamptz not null default clock_timestamp(),
  replay boolean not null default false,
  primary key (transport, stream_id, "offset")
);
comment on table sealcast.dead_letters is
  'Messages that a transport gave up; see replay_dead_letters() and drop_dead_letters()';

-- Returns those of the given shards whose lease has the given epoch.
create function sealcast_internal.led(shards integer[], epochs bigint[]) returns table (shard smallint)
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select l.shard from unnest(shards, epochs) c (shard, epoch)
  join sealcast_internal.relay_leases l on l.shard = c.shard and l.epoch = c.epoch;
end;

-- Returns the cursors of a transport. A new transport begins after the given batches: older messages are in the history
-- and are not delivered.
create function sealcast_internal.begin_delivery(transport text, shards integer[], epochs bigint[], batches bigint[],
                                        out shard integer, out batch bigint)
  returns setof record
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into sealcast.deliveries as d (transport, shard, batch, settled_at, seen_at)
  select begin_delivery.transport, c.shard, c.batch, clock_timestamp(), clock_timestamp()
  from unnest(shards, epochs, batches) c (shard, epoch, batch)
  join sealcast_internal.relay_leases l on l.shard = c.shard and l.epoch = c.epoch
  on conflict (transport, shard) do update set seen_at = excluded.seen_at
  returning d.shard::integer, d.batch;
end;

create function sealcast_internal.settle(transport text, shards integer[], epochs bigint[], batches bigint[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.follow_server();
  -- Waits for a rewind in progress. The next statement then sees the new epochs of the leases.
  select from sealcast.deliveries d where d.transport = settle.transport and d.shard = any (settle.shards)
  order by d.shard for no key update;
  insert into sealcast.deliveries as d (transport, shard, batch, settled_at, seen_at)
  select settle.transport, c.shard, c.batch, clock_timestamp(), clock_timestamp()
  from unnest(shards, epochs, batches) c (shard, epoch, batch)
  join sealcast_internal.relay_leases l on l.shard = c.shard and l.epoch = c.epoch
  on conflict (transport, shard) do update set
    batch = greatest(d.batch, excluded.batch), seen_at = excluded.seen_at,
    settled_at = case when d.batch < excluded.batch then excluded.settled_at else d.settled_at end;
end;
comment on function sealcast_internal.settle(text, integer[], bigint[], bigint[]) is
  'Records up to which batch a transport has delivered. A cursor never goes back';

-- Returns the streams of the given shards that lag.
create function sealcast_internal.lagging_streams(transport text, shards integer[],
                                         out stream_id uuid, out shard integer, out next_offset bigint)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select g.stream_id, sealcast_internal.shard_of(g.stream_id), g.next_offset from sealcast.delivery_lags g
  where g.transport = lagging_streams.transport and sealcast_internal.shard_of(g.stream_id) = any (shards);
end;

-- Sets the cursors of streams that lag. The cursor of the shard does not count for them. next_offset 0: the stream has
-- caught up and lags no more.
create function sealcast_internal.set_lag(transport text, shards integer[], epochs bigint[], stream_ids uuid[],
                                 next_offsets bigint[], reasons text[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.follow_server();
  -- As in settle().
  perform from sealcast.deliveries d where d.transport = set_lag.transport and d.shard = any (set_lag.shards)
  order by d.shard for no key update;
  insert into sealcast.delivery_lags as g (transport, stream_id, next_offset, reason)
  select set_lag.transport, c.stream_id, c.next_offset, c.reason
  from unnest(stream_ids, next_offsets, reasons) c (stream_id, next_offset, reason)
  where c.next_offset > 0 and sealcast_internal.shard_of(c.stream_id) in (select shard from sealcast_internal.led(shards, epochs))
  on conflict on constraint delivery_lags_pkey do update
    set next_offset = greatest(g.next_offset, excluded.next_offset), reason = excluded.reason;
  delete from sealcast.delivery_lags g
  using unnest(stream_ids, next_offsets) c (stream_id, next_offset)
  where g.transport = set_lag.transport and g.stream_id = c.stream_id and c.next_offset = 0
    and sealcast_internal.shard_of(c.stream_id) in (select shard from sealcast_internal.led(shards, epochs));
end $$;

create function sealcast_internal.bury(transport text, shards integer[], epochs bigint[], stream_id uuid, "offset" bigint,
                              reason text, attempts integer) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.follow_server();
  insert into sealcast.dead_letters as d (transport, stream_id, "offset", reason, attempts)
  select bury.transport, bury.stream_id, bury."offset", bury.reason, bury.attempts
  where sealcast_internal.shard_of(bury.stream_id) in (select shard from sealcast_internal.led(shards, epochs))
  on conflict (transport, stream_id, "offset") do update
    set reason = excluded.reason, attempts = d.attempts + excluded.attempts, failed_at = excluded.failed_at, replay = false;
end;
comment on function sealcast_internal.bury(text, integer[], bigint[], uuid, bigint, text, integer) is
  'Records a dead letter: the transport gave the message up';

-- Returns the dead letters of the given shards that are marked for replay. Deletes those whose offset retention has
-- dropped: no reader can get them any more.
create function sealcast_internal.dead_letters_to_replay(transport text, shards integer[], max_rows integer,
                                                out stream_id uuid, out shard integer, out "offset" bigint,
                                                out prev bigint, out envelope text, out public_prev bigint,
                                                out redacted text)
  returns setof record
  language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast.dead_letters d using sealcast.streams s
  where d.transport = dead_letters_to_replay.transport and d.replay and s.stream_id = d.stream_id
    and d."offset" <= s.trimmed_through and sealcast_internal.shard_of(d.stream_id) = any (shards);
  select d.stream_id, sealcast_internal.shard_of(d.stream_id), d."offset", d."offset" - 1, h.envelope, h.public_prev, h.redacted
  from (
    select * from sealcast.dead_letters d
    where d.transport = dead_letters_to_replay.transport and d.replay
      and sealcast_internal.shard_of(d.stream_id) = any (shards)
    order by d.stream_id, d."offset" limit max_rows) d
  cross join lateral sealcast_internal.read_history(d.stream_id, d."offset" - 1, d."offset" + 1, 1, false) h
  order by d.stream_id, d."offset";
end;

create function sealcast_internal.revive(transport text, stream_id uuid, "offset" bigint) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast.dead_letters d
  where d.transport = revive.transport and d.stream_id = revive.stream_id and d."offset" = revive."offset" and d.replay;
end;
comment on function sealcast_internal.revive(text, uuid, bigint) is 'Removes a dead letter after its replay was delivered';

create function sealcast.replay_dead_letters(transport text default null, stream_id uuid default null,
                                             "offset" bigint default null) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  marked bigint;
begin
  update sealcast.dead_letters d set replay = true
  where not d.replay and d.transport = coalesce(replay_dead_letters.transport, d.transport)
    and d.stream_id = coalesce(replay_dead_letters.stream_id, d.stream_id)
    and d."offset" = coalesce(replay_dead_letters."offset", d."offset");
  get diagnostics marked = row_count;
  return marked;
end $$;
comment on function sealcast.replay_dead_letters(text, uuid, bigint) is
  'Marks dead letters for replay. They are delivered again within seconds, in parallel with the new messages of their stream. null: all. Returns how many';

create function sealcast.drop_dead_letters(transport text default null, stream_id uuid default null,
                                           "offset" bigint default null) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped bigint;
begin
  delete from sealcast.dead_letters d
  where d.transport = coalesce(drop_dead_letters.transport, d.transport)
    and d.stream_id = coalesce(drop_dead_letters.stream_id, d.stream_id)
    and d."offset" = coalesce(drop_dead_letters."offset", d."offset");
  get diagnostics dropped = row_count;
  return dropped;
end $$;
comment on function sealcast.drop_dead_letters(text, uuid, bigint) is
  'Deletes dead letters; the messages stay in the history. null: all. Returns how many';

create function sealcast.forget_transport(transport text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast.deliveries d where d.transport = forget_transport.transport;
  delete from sealcast.delivery_lags g where g.transport = forget_transport.transport;
  delete from sealcast.dead_letters l where l.transport = forget_transport.transport;
end;
comment on function sealcast.forget_transport(text) is
  'Deletes the cursors and dead letters of a transport that was removed from the settings';

-- Returns the transports that the leaders of the given shards lack. A transport is missing if it has a cursor, or if a
-- live sidecar has it. Leaders that are about to give way to a sidecar with more transports do not count.
create function sealcast_internal.uncarried(out transport text, out shards integer[]) returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
begin atomic
  with members as materialized (
    select m.holder, m.transports from sealcast_internal.relay_members m where m.seen_at > clock_timestamp() - interval '10 s'),
  owed (transport) as (
    select d.transport from sealcast.deliveries d
    union select t.name from members m cross join unnest(m.transports) t (name))
  select o.transport, array_agg(l.shard::integer order by l.shard)
  from sealcast_internal.relay_leases l
  join members m on m.holder = l.holder
  cross join owed o
  where l.lease_until > clock_timestamp() and o.transport <> all (m.transports)
    and not exists (select from members other where cardinality(other.transports) > cardinality(m.transports))
  group by o.transport order by o.transport;
end;
comment on function sealcast_internal.uncarried() is
  'Returns the transports that no sidecar delivers, and the shards whose leader lacks them';

create view sealcast.delivery_status with (security_invoker) as
  select t.transport,
    coalesce((select sum(u.last - u.first + 1) from sealcast.deliveries d
      join sealcast_internal.relay_log r on r.shard = d.shard and r.batch > d.batch
      cross join lateral unnest(r.first_offsets, r.last_offsets) u (first, last)
      where d.transport = t.transport), 0)::bigint as owed,
    (select count(*) from sealcast.delivery_lags g where g.transport = t.transport) as lagging_streams,
    coalesce((select sum(greatest(sealcast_internal.last_offset(g.stream_id) - g.next_offset + 1, 0)) from sealcast.delivery_lags g
      where g.transport = t.transport), 0)::bigint as owed_to_lagging,
    (select count(*) from sealcast.dead_letters l where l.transport = t.transport) as dead_letters,
    t.settled_at, t.seen_at,
    coalesce((select u.shards from sealcast_internal.uncarried() u where u.transport = t.transport), '{}') as uncarried_shards
  from (select d.transport, max(d.settled_at) as settled_at, max(d.seen_at) as seen_at
        from sealcast.deliveries d group by d.transport) t;
comment on view sealcast.delivery_status is
  'How many messages each transport has yet to deliver. A message of a stream that lags may be counted in both columns. No sidecar delivers the uncarried shards';

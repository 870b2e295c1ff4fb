-- The outbox (committed messages that are not relayed yet), the log of the given offsets, and the state of the relay.

-- The outbox is append-only and has three segments. One segment takes new rows; each other segment is truncated once
-- all its rows are relayed. So the outbox needs no vacuum, and a long transaction cannot bloat it.
-- A row represents all messages of one stream that one transaction admitted with consecutive message_ids from first_id.
create table sealcast_internal.outbox (
  xid xid8 not null,
  first_id bigint not null,
  messages integer not null,
  ts bigint not null,
  stream_id uuid not null,
  shard smallint not null,
  segment smallint not null
) partition by list (segment);
create table sealcast_internal.outbox_0 partition of sealcast_internal.outbox for values in (0);
create table sealcast_internal.outbox_1 partition of sealcast_internal.outbox for values in (1);
create table sealcast_internal.outbox_2 partition of sealcast_internal.outbox for values in (2);
create index on sealcast_internal.outbox (xid, first_id);
create index on sealcast_internal.outbox (shard, first_id);
-- The segment that takes new rows. It is a sequence, because all sessions must see a new value at once, without a row
-- lock.
create sequence sealcast_internal.outbox_segment minvalue 0 maxvalue 2 start 0;
comment on table sealcast_internal.outbox is 'Messages that wait for the relay; a relayed row stays until its segment is truncated. xid: the transaction that commits the messages';

-- One row per run: the consecutive offsets that begin at "offset", for the message_ids that begin at first_id.
create table sealcast.stream_runs (
  stream_id uuid not null,
  "offset" bigint not null,
  messages integer not null,
  logged_at bigint not null,
  ts bigint not null,
  first_id bigint not null,
  -- public_bits: which messages of the run went to the public channel, one bit per message, the lowest bit first; null:
  -- all of them.
  -- public_before: the offset of the message before the run on the public channel; null: "offset" - 1.
  public_before bigint,
  public_bits bytea
) partition by range (logged_at);
comment on table sealcast.stream_runs is
  'The given offsets, one row per run; stream_log shows one row per message. logged_at: the time of relaying in Unix milliseconds, the partition key';

-- Returns the cluster and the timeline of this server. A promotion and a point-in-time recovery begin a timeline.
create function sealcast_internal.server_history() returns text
  language sql volatile set search_path = pg_catalog, pg_temp
  return (select c.system_identifier from pg_control_system() c) || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);

-- The epoch of the log: the offsets of two databases with different epochs cannot be compared. The table is not dumped,
-- so a restored database has another epoch than the dumped one. 51_log_epoch.sql begins an epoch when the server has
-- another history.
create table sealcast_internal.current_log (
  only_row boolean primary key default true check (only_row),
  epoch text not null default left(gen_random_uuid()::text, 8) check (epoch ~ '^[0-9a-z]{1,16}$'),
  history text not null default sealcast_internal.server_history()
);
insert into sealcast_internal.current_log default values;
comment on table sealcast_internal.current_log is
  'The epoch in which the offsets of this database are valid. A resume point is EPOCH:OFFSET. history: the cluster and the timeline in which the epoch began';

create function sealcast.log_epoch() returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (select e.epoch from sealcast_internal.current_log e);
comment on function sealcast.log_epoch() is 'Returns the epoch in which the offsets of this database are valid';

-- The streams whose public channel carries only a sample of the messages (44_sampling.sql).
create table sealcast.sampling (
  stream_id uuid primary key,
  rate smallint not null check (rate between 0 and 100),
  forced boolean not null default false,
  announced_at timestamptz not null
) with (fillfactor = 50);
comment on table sealcast.sampling is
  'The streams that are sampled now. rate: the percentage of the users whose tier 2 messages are sent. forced: set by set_sampling(), and lifted by it alone';

-- Returns the offset of the message before message number i of a run (from 0) on the public channel. Null: message i is
-- not on the public channel.
create function sealcast_internal.public_prev("offset" bigint, public_before bigint, public_bits bytea, i bigint) returns bigint
  language c immutable parallel safe as 'MODULE_PATHNAME', 'sealcast_public_prev';

create view sealcast.stream_log with (security_invoker) as
  select r.stream_id, r."offset" + i as "offset", r.logged_at, r.ts, r.first_id + i as message_id,
         sealcast_internal.public_prev(r."offset", r.public_before, r.public_bits, i) is not null as public
  from sealcast.stream_runs r cross join lateral generate_series(0, r.messages - 1) i;
comment on view sealcast.stream_log is
  'One row per message: its offset in its stream, from 1 without gaps, and whether it went to the public channel';

-- Each stream belongs to one shard. One sidecar at a time relays a shard.
create function sealcast_internal.shard_of(stream_id uuid) returns integer
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_shard_of';

create table sealcast_internal.relay_leases (
  shard smallint primary key,
  holder text,
  epoch bigint not null default 0,
  lease_until timestamptz not null default '-infinity',
  -- The connection on which the holder claims and drains.
  backend integer,
  backend_start timestamptz
) with (fillfactor = 50);
comment on table sealcast_internal.relay_leases is
  'Which sidecar relays a shard. The epoch grows with each new holder, so a frozen holder that wakes late changes nothing';
-- The epoch begins with the present time: a sidecar that held a lease of the dumped database holds none here.
insert into sealcast_internal.relay_leases (shard, epoch)
select shard, floor(extract(epoch from clock_timestamp()) * 1000)::bigint from generate_series(0, 3) shard;

create table sealcast_internal.relay_members (
  holder text primary key,
  seen_at timestamptz not null,
  transports text[] not null default '{}'
) with (fillfactor = 50);
comment on table sealcast_internal.relay_members is
  'The sidecars that are alive, and the transports that each has. Each of them receives the messages that any of them relays';

-- Insert-only: finding the newest position costs one index descent, however many old rows a long transaction keeps
-- alive.
create table sealcast_internal.relay_log (
  shard smallint not null,
  batch bigint not null,
  epoch bigint not null,
  logged_at bigint not null,
  -- The position after this batch. Every message that the snapshot `seen` sees is relayed. If `target` is set, the
  -- messages that became visible between `seen` and `target` are also relayed, in order of message_id, up to after_id.
  -- Every transaction after `…_xid` has message_ids beyond `…_id`. The reason: admit() takes its xid first and its ids
  -- second, and drain() reads the newest id first and takes its xid second.
  seen pg_snapshot not null,
  seen_xid xid8 not null,
  seen_id bigint not null,
  target pg_snapshot,
  target_xid xid8,
  target_id bigint,
  after_id bigint not null,
  -- The content of the batch: one run of offsets for each stream.
  stream_ids uuid[] not null,
  first_offsets bigint[] not null,
  last_offsets bigint[] not null,
  primary key (shard, batch)
);
comment on table sealcast_internal.relay_log is 'One row per batch: the offsets that a drain gave, and the position up to which the outbox is relayed';

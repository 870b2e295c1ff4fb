-- What is committed and not yet relayed, and the log that gives each message its offset.

-- Append-only, in three segments: one takes what comes, the others are truncated once every row of theirs is relayed,
-- so that the outbox costs no vacuum and a long transaction cannot bloat it.
-- A row is a run: messages of one stream that one transaction admitted, with message_ids from first_id on.
create table sealcast.outbox (
  xid xid8 not null,
  first_id bigint not null,
  messages integer not null,
  ts bigint not null,
  stream_id uuid not null,
  shard smallint not null,
  segment smallint not null
) partition by list (segment);
create table sealcast.outbox_0 partition of sealcast.outbox for values in (0);
create table sealcast.outbox_1 partition of sealcast.outbox for values in (1);
create table sealcast.outbox_2 partition of sealcast.outbox for values in (2);
create index on sealcast.outbox (xid, first_id);
create index on sealcast.outbox (first_id);
-- The segment that takes new rows. A sequence, since its value must be seen by everyone at once, without a row lock.
create sequence sealcast.outbox_segment minvalue 0 maxvalue 2 start 0;
comment on table sealcast.outbox is 'Messages to be relayed; xid is the transaction that commits them';

-- Offsets are logged by runs too: a run takes the offsets from "offset" on.
create table sealcast.stream_runs (
  stream_id uuid not null,
  "offset" bigint not null,
  messages integer not null,
  logged_at bigint not null,
  ts bigint not null,
  first_id bigint not null,
  -- Which of its messages went to the public channel: a bit each, the lowest first; null = all. And the offset of the
  -- message before it there; null = "offset" - 1.
  public_before bigint,
  public_bits bytea
) partition by range (logged_at);
comment on table sealcast.stream_runs is
  'The runs of stream_log; logged_at = Unix milliseconds of relaying, the partition key';

-- The streams of whose messages the public channel gets a part (44_sampling.sql).
create table sealcast.sampling (
  stream_id uuid primary key,
  rate smallint not null check (rate between 0 and 100),
  forced boolean not null default false,
  announced_at timestamptz not null
) with (fillfactor = 50);
comment on table sealcast.sampling is
  'The streams that are sampled now, and of how many percent of the users tier 2 messages are sent; forced = by set_sampling(), to be lifted by it alone';

-- Of message number i of a run: the offset of the message before it on the public channel; null = it is not there.
create function sealcast.public_prev("offset" bigint, public_before bigint, public_bits bytea, i bigint) returns bigint
  language c immutable parallel safe as 'MODULE_PATHNAME', 'sealcast_public_prev';

create view sealcast.stream_log with (security_invoker) as
  select r.stream_id, r."offset" + i as "offset", r.logged_at, r.ts, r.first_id + i as message_id,
         sealcast.public_prev(r."offset", r.public_before, r.public_bits, i) is not null as public
  from sealcast.stream_runs r cross join lateral generate_series(0, r.messages - 1) i;
comment on view sealcast.stream_log is
  'Offset → message, per stream from 1 without gaps, and whether it went to the public channel';

-- Streams are spread over shards; each shard is relayed by one sidecar at a time.
create function sealcast.shard_of(stream_id uuid) returns integer
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_shard_of';

create table sealcast.relay_leases (
  shard smallint primary key,
  holder text,
  epoch bigint not null default 0,
  lease_until timestamptz not null default '-infinity',
  -- The backend that the holder claims and drains with.
  backend integer,
  backend_start timestamptz
) with (fillfactor = 50);
comment on table sealcast.relay_leases is
  'Which sidecar relays a shard. The epoch grows with every change of hands: a frozen holder that wakes late changes nothing';
insert into sealcast.relay_leases (shard) select generate_series(0, 3);

create table sealcast.relay_members (
  holder text primary key,
  seen_at timestamptz not null
) with (fillfactor = 50);
comment on table sealcast.relay_members is 'The sidecars that are alive; they all receive what any of them relays';

-- Insert-only, so that reading the newest position costs one index descent whatever a long transaction keeps alive.
create table sealcast.relay_log (
  shard smallint not null,
  batch bigint not null,
  epoch bigint not null,
  logged_at bigint not null,
  -- The position after this batch. All that `seen` sees is relayed; when `target` is set, so is what became visible
  -- from `seen` to `target`, in order of message_id, up to after_id. Transactions after …_xid have message_ids beyond
  -- …_id: admit() takes its xid first and its ids then, drain() reads the newest id first and takes its xid then.
  seen pg_snapshot not null,
  seen_xid xid8 not null,
  seen_id bigint not null,
  target pg_snapshot,
  target_xid xid8,
  target_id bigint,
  after_id bigint not null,
  -- What the batch holds: for each stream a run of offsets.
  stream_ids uuid[] not null,
  first_offsets bigint[] not null,
  last_offsets bigint[] not null,
  primary key (shard, batch)
);
comment on table sealcast.relay_log is 'What each drain relayed, and up to where the outbox is relayed';

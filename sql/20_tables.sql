-- Streams, who may do what in them, and the messages themselves.

create table sealcast.streams (
  stream_id uuid primary key default gen_random_uuid(),
  title text,
  visibility text not null default 'public' check (visibility in ('public', 'private')),
  delivery_mode text not null default 'standard' check (delivery_mode in ('standard', 'hybrid', 'hot')),
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  -- The newest offset that retention has dropped: offsets go on from there even when nothing is left.
  trimmed_through bigint not null default 0
);
create index on sealcast.streams (stream_id) where delivery_mode <> 'standard';
comment on table sealcast.streams is 'A chat room; closed_at set = nobody may send any more';

create table sealcast.stream_roles (
  stream_id uuid not null references sealcast.streams on delete cascade,
  user_id uuid not null,
  role text not null check (role ~ '^[a-z][a-z0-9_]{0,31}$'),
  granted_at timestamptz not null default now(),
  primary key (user_id, stream_id)
);
comment on table sealcast.stream_roles is
  'owner and moderator may moderate; other names are the application''s (vip, subscriber, …)';
create index on sealcast.stream_roles (stream_id);

create table sealcast.restrictions (
  user_id uuid not null,
  stream_id uuid references sealcast.streams on delete cascade,
  kind text not null check (kind in ('mute', 'ban')),
  until timestamptz check (isfinite(until)),
  reason text check (length(reason) <= 500),
  created_by uuid,
  created_at timestamptz not null default now(),
  constraint restrictions_key unique nulls not distinct (user_id, stream_id, kind)
);
-- For the deletion of a stream.
create index on sealcast.restrictions (stream_id);
comment on table sealcast.restrictions is 'Mutes and bans; stream_id null = everywhere, until null = for good';

create table sealcast.message_types (
  t text primary key check (t ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  max_bytes integer not null default 16384 check (max_bytes between 2 and 1048576),
  rate integer not null default 5 check (rate between 1 and 1000),
  role_rates jsonb not null default '{}' check (
    jsonb_typeof(role_rates) = 'object'
    and not jsonb_path_exists(role_rates, 'strict $.* ? (@.type() != "number" || !(@ >= 1 && @ <= 1000))')),
  required_roles text[],
  system_only boolean not null default false,
  server_fields text[] not null default '{user_role}' check (server_fields in ('{}', '{user_role}')),
  tier smallint not null default 2 check (tier between 0 and 2),
  tier0_amount bigint check (tier0_amount between 1 and 9007199254740991),
  admit_hook regprocedure,
  built_in boolean not null default false
);
comment on table sealcast.message_types is 'What may be sent, by whom, how large and how often';
comment on column sealcast.message_types.max_bytes is 'Bytes of canonical d';
comment on column sealcast.message_types.rate is 'Messages a second for each sender';
comment on column sealcast.message_types.role_rates is 'Other rates for roles, for example {"moderator": 20}';
comment on column sealcast.message_types.required_roles is 'Roles that may send it; null = anyone';
comment on column sealcast.message_types.server_fields is 'Members of d that only the server states; what a sender puts there is replaced';
comment on column sealcast.message_types.tier is
  'How little a chat storm may do to its messages: 0 and 1 are always sent, 2 is sampled. See tier()';
comment on column sealcast.message_types.tier0_amount is 'A message whose d.amount is at least this much is tier 0, as a large gift';
comment on column sealcast.message_types.admit_hook is
  'function(stream_id uuid, sender_id uuid, t text, txn_id uuid, d json) returns sealcast.refusal; null admits. It runs as the extension''s owner, with search_path pg_catalog, pg_temp: only a superuser may name one';

insert into sealcast.message_types (t, required_roles, system_only, tier, built_in) values
  ('chat', null, false, 2, true),
  ('reaction', null, false, 2, true),
  ('announcement', '{owner,moderator}', false, 0, true),
  ('transport_migrate', null, true, 0, true),
  ('transport_warmup', null, true, 0, true),
  ('sampling_update', null, true, 0, true),
  ('viewer_count_update', null, true, 0, true);

-- A built-in type that was changed is the user's own: it is dumped, and its copy replaces the built-in one at restore.
create function sealcast.own_message_type() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    delete from sealcast.message_types where t = new.t and built_in;
  end if;
  new.built_in := false;
  return new;
end $$;
create trigger own_message_type before insert or update on sealcast.message_types
  for each row execute function sealcast.own_message_type();

-- Numbers of blocks of message_ids (extension/pg/message_ids.h): a batch takes a block, not a number a message.
create sequence sealcast.message_ids;

-- The one uniqueness of the system. Not partitioned, since a key must be unique for as long as it is kept.
create table sealcast.txn_keys (
  sender_id uuid not null,
  txn_id uuid not null,
  ts bigint not null,
  message_id bigint not null,
  sent_hash bytea not null,
  primary key (sender_id, txn_id)
);
comment on table sealcast.txn_keys is
  'Every (sender, txn_id) that was committed, where its message is, and the SHA-256 of d as it was sent';
-- Trimming by age must not cost admission a second B-tree.
create index txn_keys_ts on sealcast.txn_keys using brin (ts);

-- No foreign key to streams: its check would lock the hot stream's row once a message. admit() checks instead.
-- The key is each partition's own, see make_partition().
create table sealcast.messages (
  ts bigint not null,
  message_id bigint not null,
  stream_id uuid not null,
  sender_id uuid not null,
  txn_id uuid not null,
  t text not null,
  kid text not null,
  sig bytea not null,
  d text not null
) partition by range (ts);
comment on table sealcast.messages is
  'Every sealed message; partitions by day of ts (Unix milliseconds, UTC) are made and dropped by sealcast.maintain()';
comment on column sealcast.messages.d is 'Canonical text, exactly as it was signed';

create function sealcast.envelope(message sealcast.messages) returns text
  language sql immutable parallel safe
  return sealcast.envelope_text(message.kid, message.t, message.stream_id, message.sender_id, message.ts,
                                message.txn_id, message.d, message.sig);
comment on function sealcast.envelope(sealcast.messages) is 'The message as it goes on the wire';

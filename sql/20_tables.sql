-- The tables of streams, roles, restrictions, message types and messages. Invariants: txn_keys alone makes messages
-- unique, and messages.d is stored exactly as it was signed.

create table sealcast.streams (
  stream_id uuid primary key default gen_random_uuid(),
  title text,
  visibility text not null default 'public' check (visibility in ('public', 'private')),
  delivery_mode text not null default 'standard' check (delivery_mode in ('standard', 'hybrid', 'hot')),
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  -- The newest offset that retention has dropped. The next message gets a higher offset, even when no message is left.
  trimmed_through bigint not null default 0
);
create index on sealcast.streams (stream_id) where delivery_mode <> 'standard';
comment on table sealcast.streams is 'A chat room. A stream whose closed_at is set takes no messages';

create table sealcast.stream_roles (
  stream_id uuid not null references sealcast.streams on delete cascade,
  user_id uuid not null,
  role text not null check (role ~ '^[a-z][a-z0-9_]{0,31}$'),
  granted_at timestamptz not null default now(),
  primary key (user_id, stream_id)
);
comment on table sealcast.stream_roles is
  'Roles of users in streams. owner and moderator may moderate; the application chooses all other names (vip, subscriber, …)';
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
-- For the deletion of a stream, which looks up its restrictions.
create index on sealcast.restrictions (stream_id);
comment on table sealcast.restrictions is 'Mutes and bans. stream_id null: in all streams; until null: without an end';

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
comment on table sealcast.message_types is 'The message types: who may send them, how large they may be, and how often';
comment on column sealcast.message_types.max_bytes is 'The limit of the canonical d, in bytes';
comment on column sealcast.message_types.rate is 'Messages per second for each sender';
comment on column sealcast.message_types.role_rates is 'Rates that replace `rate` for some roles, for example {"moderator": 20}';
comment on column sealcast.message_types.required_roles is 'Roles that may send the type; null: every user may send it';
comment on column sealcast.message_types.server_fields is 'Members of d that only the server fills in. A value from the sender is replaced';
comment on column sealcast.message_types.tier is
  'How a chat storm treats the messages: tiers 0 and 1 are always sent, tier 2 is sampled. See tier()';
comment on column sealcast.message_types.tier0_amount is 'A message whose d.amount is at least this value is in tier 0, for example a large gift';
comment on column sealcast.message_types.admit_hook is
  'A function(stream_id uuid, sender_id uuid, t text, txn_id uuid, d json) returns sealcast.refusal; null admits the message. It runs as the extension''s owner, with search_path pg_catalog, pg_temp, so only a superuser may set it';

insert into sealcast.message_types (t, required_roles, system_only, tier, built_in) values
  ('chat', null, false, 2, true),
  ('reaction', null, false, 2, true),
  ('announcement', '{owner,moderator}', false, 0, true),
  ('transport_migrate', null, true, 0, true),
  ('transport_warmup', null, true, 0, true),
  ('sampling_update', null, true, 0, true),
  ('viewer_count_update', null, true, 0, true);

-- A built-in type that a user changes becomes the user's own: pg_dump dumps it, and at restore the dumped row replaces
-- the built-in one.
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

-- Numbers blocks of message_ids (extension/relay/message_ids.h). A batch takes a whole block, so that the sequence
-- is called once per batch, not once per message.
create sequence sealcast.message_ids;

-- The only unique key of messages. The table is not partitioned, because a key must be unique for as long as it is kept.
create table sealcast.txn_keys (
  sender_id uuid not null,
  txn_id uuid not null,
  ts bigint not null,
  message_id bigint not null,
  sent_hash bytea not null,
  primary key (sender_id, txn_id)
);
comment on table sealcast.txn_keys is
  'Every committed (sender, txn_id), with the place of its message and the SHA-256 of d as the sender sent it';
-- BRIN, because trimming by age must not cost admission a second B-tree.
create index txn_keys_ts on sealcast.txn_keys using brin (ts);

-- There is no foreign key to streams: its check would lock the row of a busy stream once per message. admit() checks
-- instead. Each partition has a primary key of its own, see make_partition().
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
  'Every sealed message. sealcast.maintain() makes and drops the partitions: one per UTC day of ts (Unix milliseconds)';
comment on column sealcast.messages.d is 'Canonical JSON as text, exactly as it was signed';

create function sealcast.envelope(message sealcast.messages) returns text
  language sql immutable parallel safe
  return sealcast.envelope_text(message.kid, message.t, message.stream_id, message.sender_id, message.ts,
                                message.txn_id, message.d, message.sig);
comment on function sealcast.envelope(sealcast.messages) is 'Returns the envelope of the message, as readers get it';

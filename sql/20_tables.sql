-- The tables of streams, roles, restrictions, message types and messages. Invariants: txn_keys alone makes messages
-- unique, and messages.d is stored exactly as it was signed.

-- The message of a violated constraint has only its name, so the name says the rule.
create table sealcast.streams (
  stream_id uuid primary key default gen_random_uuid(),
  title text,
  visibility text not null default 'public' constraint visibility_is_public_or_private check (visibility in ('public', 'private')),
  delivery_mode text not null default 'standard' constraint delivery_mode_is_standard_hybrid_or_hot check (delivery_mode in ('standard', 'hybrid', 'hot')),
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  -- Who gets the gifts that name no recipient.
  payee_id uuid constraint payee_id_is_not_nil check (payee_id <> '00000000-0000-0000-0000-000000000000'),
  -- The newest offset that retention has dropped. The next message gets a higher offset, even when no message is left.
  -- An offset is an exact number in JSON up to 2^53 - 1.
  trimmed_through bigint not null default 0 check (trimmed_through between 0 and 9007199254740991),
  metadata jsonb not null default '{}'
    constraint streams_metadata check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384)
);
create index on sealcast.streams (stream_id) where delivery_mode <> 'standard';
comment on table sealcast.streams is 'A chat room. From closed_at on, the stream takes no messages of users';
comment on column sealcast.streams.metadata is
  'The application''s own data about the stream: a JSON object of at most 16384 bytes. Whoever may read the stream may read it';

create table sealcast.stream_roles (
  stream_id uuid not null,
  user_id uuid not null,
  role text not null constraint role_is_a_lower_case_name_of_32 check (role ~ '^[a-z][a-z0-9_]{0,31}$'),
  granted_at timestamptz not null default now(),
  primary key (user_id, stream_id)
);
comment on table sealcast.stream_roles is
  'Roles of users in streams. owner and moderator may moderate; the application chooses all other names (vip, subscriber, …)';
create index on sealcast.stream_roles (stream_id);

-- How much a user may do, from the least to the most. 31_authority.sql says which rank may do what.
create type sealcast.user_rank as enum ('none', 'member', 'moderator', 'owner', 'admin');

-- Restrictions are never deleted by our functions: a lifted or replaced one keeps its row. Several may hold at the same
-- time, and the strictest one counts.
create table sealcast.restrictions (
  -- Not a number from a sequence: the rows of a stream move between cells.
  restriction_id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  stream_id uuid,
  kind text not null check (kind in ('mute', 'ban')),
  until timestamptz constraint until_is_finite check (isfinite(until)),
  reason text constraint reason_of_500_characters check (length(reason) <= 500),
  note text constraint note_of_500_characters check (length(note) <= 500),
  issuer_rank sealcast.user_rank not null default 'admin' check (issuer_rank >= 'moderator'),
  created_by uuid,
  created_at timestamptz not null default now(),
  lifted_at timestamptz,
  lifted_by uuid
);
-- For admission: one descent finds that a sender has no restriction in force, however many there were before.
create index restrictions_in_force on sealcast.restrictions (user_id, coalesce(until, 'infinity')) where lifted_at is null;
-- For the deletion of a stream, which looks up its restrictions.
create index on sealcast.restrictions (stream_id);
comment on table sealcast.restrictions is
  'Mutes and bans, also those that were lifted or have ended. stream_id null: in all streams; until null: without an end';
comment on column sealcast.restrictions.reason is 'For the user';
comment on column sealcast.restrictions.note is 'For moderators; the user cannot read it';
comment on column sealcast.restrictions.issuer_rank is 'Only a user of this rank or a higher one may lift or replace the restriction';
comment on column sealcast.restrictions.lifted_at is 'When the restriction was lifted or replaced; null: never';

-- The words of moderators. 32_blocked_terms.sql has their functions, core/terms how they are found.
create table sealcast.blocked_terms (
  -- Not a number from a sequence: the rows of a stream move between cells.
  term_id uuid primary key default gen_random_uuid(),
  stream_id uuid,
  term text not null constraint term_of_500_bytes check (octet_length(term) between 1 and 500),
  kind text not null default 'literal' constraint kind_is_literal_wildcard_or_pattern check (kind in ('literal', 'wildcard', 'pattern')),
  whole_word boolean not null default true,
  action text not null default 'refuse' constraint action_is_refuse_hold_mask_or_flag check (action in ('refuse', 'hold', 'mask', 'flag')),
  created_by uuid,
  created_at timestamptz not null default clock_timestamp()
);
-- Admission reads the terms of one stream, or of all streams, by the first column.
create unique index blocked_terms_once on sealcast.blocked_terms
  (coalesce(stream_id, '00000000-0000-0000-0000-000000000000'), kind, whole_word, term collate "C");
comment on table sealcast.blocked_terms is
  'Terms that messages must not have. stream_id null: in all streams. Only the functions add_blocked_term() and remove_blocked_term() write it';
comment on column sealcast.blocked_terms.kind is
  'literal: the text itself; wildcard: * stands for any characters but white space, ? for one; pattern: a regular expression of RE2';
comment on column sealcast.blocked_terms.whole_word is 'Whether the term must begin and end where a word does. A pattern states that itself';
comment on column sealcast.blocked_terms.action is
  'refuse: the message is refused; hold: it waits for a moderator in held_messages; mask: the characters become *; flag: the message is admitted and recorded in term_hits';

-- maintain() trims it.
create table sealcast.term_hits (
  hit_id uuid primary key default gen_random_uuid(),
  at timestamptz not null,
  stream_id uuid not null,
  sender_id uuid not null,
  txn_id uuid not null,
  t text not null,
  term_id uuid not null,
  action text not null
);
create index term_hits_of_stream on sealcast.term_hits (stream_id, at, hit_id);
create index term_hits_in_order on sealcast.term_hits (at, hit_id);
comment on table sealcast.term_hits is
  'Messages that a blocked term has flagged, or has refused over HTTP. A message is named by its sender and txn_id';

create table sealcast.message_types (
  t text primary key constraint t_is_a_lower_case_name_of_64 check (t ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  max_bytes integer not null default 16384 constraint max_bytes_from_2_to_1048576 check (max_bytes between 2 and 1048576),
  rate integer not null default 5 constraint rate_from_1_to_1000_per_second check (rate between 1 and 1000),
  role_rates jsonb not null default '{}' constraint role_rates_are_numbers_from_1_to_1000 check (
    jsonb_typeof(role_rates) = 'object'
    and not jsonb_path_exists(role_rates, 'strict $.* ? (@.type() != "number" || !(@ >= 1 && @ <= 1000))')),
  required_roles text[],
  system_only boolean not null default false,
  server_fields text[] not null default '{user_role}' constraint server_fields_are_none_or_user_role check (server_fields in ('{}', '{user_role}')),
  tier smallint not null default 2 constraint tier_from_0_to_2 check (tier between 0 and 2),
  tier0_amount bigint constraint tier0_amount_from_1_to_2_53 check (tier0_amount between 1 and 9007199254740991),
  admit_hook text constraint admit_hook_of_1000_bytes check (octet_length(admit_hook) <= 1000),
  redact_own_within interval default '5 minutes' constraint redact_own_within_is_not_negative check (redact_own_within >= '0'),
  retained boolean not null default false,
  -- The sender writes d.amount. Without a hook that checks it, every user would reach tier 0.
  constraint tier0_amount_needs_admit_hook check (tier0_amount is null or admit_hook is not null or system_only),
  -- A message of tier 2 may be on one channel only. The newest retained message is the same on both.
  constraint retained_needs_tier_0_or_1 check (not retained or tier < 2)
);
-- The relay reads the retained types at each drain.
create index message_types_retained on sealcast.message_types (t) where retained;
comment on table sealcast.message_types is 'The message types: who may send them, how large they may be, and how often';
comment on column sealcast.message_types.max_bytes is 'The limit of the canonical d, in bytes';
comment on column sealcast.message_types.rate is 'Messages per second for each sender';
comment on column sealcast.message_types.role_rates is 'Rates that replace `rate` for some roles, for example {"moderator": 20}';
comment on column sealcast.message_types.required_roles is 'Roles that may send the type; null: every user may send it';
comment on column sealcast.message_types.server_fields is 'Members of d that only the server fills in. A value from the sender is replaced';
comment on column sealcast.message_types.redact_own_within is
  'How long after sending a message its sender may redact it; null: never. Moderators may redact at any time';
comment on column sealcast.message_types.retained is
  'Whether a late joiner first gets the newest message of the type in the stream, for each d.key. See stream_state()';
comment on column sealcast.message_types.tier is
  'How a chat storm treats the messages: tiers 0 and 1 are always sent, tier 2 is sampled. See tier()';
comment on column sealcast.message_types.tier0_amount is 'A message whose d.amount is at least this value is in tier 0, for example a large gift. Only for a type with an admit hook, which must check the amount, or for a system_only type';
comment on column sealcast.message_types.admit_hook is
  'The name of a function(stream_id uuid, sender_id uuid, t text, txn_id uuid, d json) returns sealcast.refusal; null admits the message. The name is resolved when the hook is asked. It runs with the rights of its owner, with search_path pg_catalog, pg_temp. Only a role that can act as this owner may set or remove it';

-- Stores the full name of a hook: a value such as 'no_links'::regproc is the name as the search_path of its session
-- shows it. A function that does not exist yet, as in a restore, keeps the name that was given.
create function sealcast_internal.qualify_hook() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_qualify_hook';
create trigger qualify_hook before insert or update of admit_hook on sealcast.message_types
  for each row when (new.admit_hook is not null) execute function sealcast_internal.qualify_hook();

-- Returns whether the caller may have this function called with the rights of its owner, and may end that: only a role
-- that can act as the owner. The owner of the table may always, as in a restore, in which the function may be missing.
create function sealcast_internal.controls_hook(hook text) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
  return has_table_privilege('sealcast.message_types', 'truncate') or coalesce(
    (select pg_has_role(f.proowner, 'usage') from pg_proc f
     where f.oid = case when position('(' in hook) > 0 then to_regprocedure(hook)::oid else to_regproc(hook)::oid end), false);

-- A type with a hook is a rule of the owner of the function: without the type or under another name, the rule would be
-- lost. The name sorts after qualify_hook, so that it sees the full name.
create function sealcast_internal.require_hook_owner() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  old_hook constant text := case when tg_op <> 'INSERT' then old.admit_hook end;
  new_hook constant text := case when tg_op <> 'DELETE' then new.admit_hook end;
begin
  if old_hook is not null and not sealcast_internal.controls_hook(old_hook) then
    raise exception 'message type % has an admit hook of another role', old.t using errcode = 'insufficient_privilege',
      hint = 'Ask the owner of the function, or set system_only to stop the type.';
  elsif new_hook is not null and not sealcast_internal.controls_hook(new_hook) then
    raise exception 'you do not own the admit hook %', new_hook using errcode = 'insufficient_privilege',
      detail = 'A hook runs with the rights of its owner.', hint = 'Create the function as a role of yours first.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger require_hook_owner before insert on sealcast.message_types
  for each row when (new.admit_hook is not null) execute function sealcast_internal.require_hook_owner();
create trigger require_hook_owner_changed before update on sealcast.message_types
  for each row when (new.admit_hook is distinct from old.admit_hook or old.admit_hook is not null and new.t <> old.t)
  execute function sealcast_internal.require_hook_owner();
create trigger require_hook_owner_deleted before delete on sealcast.message_types
  for each row when (old.admit_hook is not null) execute function sealcast_internal.require_hook_owner();

-- Numbers blocks of message_ids (extension/relay/message_ids.h). A batch takes a whole block, so that the sequence
-- is called once per batch, not once per message.
create sequence sealcast_internal.message_ids;

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
  d text
) partition by range (ts);
comment on table sealcast.messages is
  'Every sealed message. sealcast.maintain() makes and drops the partitions: one per UTC day of ts (Unix milliseconds)';
comment on column sealcast.messages.d is 'Canonical JSON as text, exactly as it was signed; null: the message is redacted, see sealcast.redactions';

-- A message that is not redacted has no row, so that redaction costs the other messages nothing.
create table sealcast.redactions (
  ts bigint not null,
  message_id bigint not null,
  stream_id uuid not null,
  payload_hash bytea not null constraint payload_hash_is_a_sha256 check (octet_length(payload_hash) = 32),
  redacted_by uuid,
  redacted_at bigint not null,
  reason text constraint reason_of_500_characters check (length(reason) <= 500),
  -- The message_id of the message that announces the redaction. Its ts is redacted_at.
  event_id bigint not null,
  primary key (ts, message_id)
);
-- For the newest redaction of a stream: the redactions of a stream follow each other under the lock of its row.
create index redactions_of_stream on sealcast.redactions (stream_id, redacted_at, event_id);
comment on table sealcast.redactions is
  'The redacted messages: what proves them, and who redacted them. (ts, message_id) is the key of the message. redacted_by null: an operator without a user id; redacted_at: Unix milliseconds';

-- Returns null when the row of the redaction is missing.
create function sealcast_internal.redacted_envelope(message sealcast.messages) returns text
  language sql stable parallel safe
begin atomic
  select sealcast_internal.redacted_envelope_text(message.kid, message.t, message.stream_id, message.sender_id, message.ts,
                                                  message.txn_id, r.payload_hash, message.sig)
  from sealcast.redactions r where r.ts = message.ts and r.message_id = message.message_id;
end;

create function sealcast.envelope(message sealcast.messages) returns text
  language sql stable parallel safe
  return coalesce(sealcast.envelope_text(message.kid, message.t, message.stream_id, message.sender_id, message.ts,
                                         message.txn_id, message.d, message.sig),
                  sealcast_internal.redacted_envelope(message));
comment on function sealcast.envelope(sealcast.messages) is
  'Returns the envelope of the message, as readers get it. Of a redacted message, it is the redacted envelope';

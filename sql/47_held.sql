-- Held messages: messages that wait for a moderator. A held message has its key in txn_keys, so that one unique index
-- decides about repeats, and no row in messages until a moderator approves it. 31_authority.sql decides who may do it.

create table sealcast.held_messages (
  -- Ordered by time. Not a number from a sequence: the rows of a stream move between cells.
  held_id uuid primary key,
  stream_id uuid not null,
  sender_id uuid not null,
  txn_id uuid not null,
  t text not null,
  d text,
  sent_hash bytea not null,
  held_by text not null constraint held_by_is_term_rule_or_hook check (held_by in ('term', 'rule', 'hook')),
  term_id uuid,
  detail text,
  held_at timestamptz not null,
  expires_at timestamptz not null,
  outcome text constraint outcome_is_approved_denied_or_expired check (outcome in ('approved', 'denied', 'expired')),
  decided_by uuid,
  decided_at timestamptz,
  reason text constraint reason_of_500_characters check (length(reason) <= 500),
  constraint content_while_waiting check ((d is null) = (outcome is not null)),
  constraint held_messages_once unique (sender_id, txn_id)
);
-- For the queue of moderators, and for its bounds.
create index held_messages_waiting on sealcast.held_messages (stream_id, held_id) where outcome is null;
create index held_messages_expiring on sealcast.held_messages (expires_at) where outcome is null;
create index on sealcast.held_messages (stream_id);
comment on table sealcast.held_messages is
  'Messages that wait or have waited for a moderator. outcome null: the message waits. Its content is erased when it is decided: an approved message is in sealcast.messages';
comment on column sealcast.held_messages.d is 'Canonical JSON, with masked terms; null: decided';
comment on column sealcast.held_messages.detail is 'The blocked term, the rule, or the message of the admit hook';
comment on column sealcast.held_messages.reason is 'Why the message was denied, for its sender';

-- Returns whether the user has no message in the stream. Of a user with more than 1,000 kept keys, it reads 1,000, so an
-- approved message counts first: otherwise such a user could stay a newcomer.
create function sealcast_internal.is_newcomer(stream_id uuid, user_id uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
begin
  return not exists (
    select from sealcast.held_messages h
    where h.sender_id = is_newcomer.user_id and h.stream_id = is_newcomer.stream_id and h.outcome = 'approved')
  and not exists (
    select from (select k.ts, k.message_id from sealcast.txn_keys k where k.sender_id = is_newcomer.user_id limit 1000) k
    join sealcast.messages m on m.ts = k.ts and m.message_id = k.message_id and m.stream_id = is_newcomer.stream_id);
end $$;

-- Holds a message whose key the caller has inserted. Returns why it cannot wait: queue_full, sender_full or no_stream;
-- null: it waits. Messages that are held at the same time do not count each other.
create function sealcast_internal.hold_message(stream_id uuid, sender_id uuid, txn_id uuid, t text, d text, sent_hash bytea,
                                               held_by text, term_id uuid, detail text) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_variable
declare
  held sealcast.held_messages;
  most constant integer := 1000;
  most_bytes constant bigint := 16777216;
  most_of_sender constant integer := 20;
  moment constant timestamptz := clock_timestamp();
  -- Not longer than the key, which is trimmed by its age.
  keep constant interval := (select coalesce(least(r.keep_held, r.keep_txn_ids), interval '3 days') from sealcast_internal.current_retention() r);
  waiting record;
begin
  -- Otherwise the stream could be deleted before this row is visible, and the row would stay.
  perform from sealcast.streams s where s.stream_id = stream_id for key share;
  if not found then
    return 'no_stream';
  end if;
  select count(*) as messages, coalesce(sum(octet_length(h.d)), 0) as bytes, count(*) filter (where h.sender_id = sender_id) as of_sender
    into waiting
  from (select w.sender_id, w.d from sealcast.held_messages w
        where w.stream_id = stream_id and w.outcome is null and w.expires_at > moment limit most) h;
  if waiting.of_sender >= most_of_sender then
    return 'sender_full';
  elsif waiting.messages >= most or waiting.bytes + octet_length(d) > most_bytes then
    return 'queue_full';
  end if;
  insert into sealcast.held_messages as h (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, term_id, detail, held_at, expires_at)
  values (sealcast_internal.ordered_id(moment), stream_id, sender_id, txn_id, t, d, sent_hash, held_by,
          nullif(term_id, '00000000-0000-0000-0000-000000000000'),
          left(case when held_by = 'term' then (select b.term from sealcast.blocked_terms b where b.term_id = term_id and b.stream_id is not null) else nullif(detail, '') end, 500),
          moment, moment + keep)
  -- The key of an old row was trimmed: the caller could insert it.
  on conflict on constraint held_messages_once do update
    set held_id = excluded.held_id, stream_id = excluded.stream_id, t = excluded.t, d = excluded.d, sent_hash = excluded.sent_hash,
        held_by = excluded.held_by, term_id = excluded.term_id, detail = excluded.detail, held_at = excluded.held_at,
        expires_at = excluded.expires_at, outcome = null, decided_by = null, decided_at = null, reason = null
  returning h.* into held;
  perform sealcast_internal.queue_webhook('hold_message', stream_id, json_build_object(
    'held_id', held.held_id, 'stream_id', stream_id, 'sender_id', sender_id, 'txn_id', txn_id, 't', t,
    'held_by', held_by, 'detail', held.detail));
  return null;
end $$;

-- Admits the message of a held row whose key the caller has deleted. Terms and rules that hold do not count any more.
create function sealcast_internal.admit_held(stream_id uuid, t text, sender_id uuid, txn_id uuid, d text, sent_hash bytea, ask_hook boolean)
  returns setof sealcast.verdict
  language c rows 1 strict as 'MODULE_PATHNAME', 'sealcast_admit_held';

-- Returns the held message, locked, after it has authorised the caller to decide about it.
create function sealcast_internal.held_to_decide(held_id uuid) returns sealcast.held_messages
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held sealcast.held_messages;
begin
  select h.* into held from sealcast.held_messages h where h.held_id = held_to_decide.held_id;
  if found then
    perform sealcast_internal.authorise_and_lock('decide_held', held.stream_id, held.sender_id);
    -- Another decision may have ended while this one waited for the lock.
    select h.* into held from sealcast.held_messages h where h.held_id = held_to_decide.held_id for update;
  else
    perform sealcast_internal.current_sender() where not sealcast_internal.is_admin();
  end if;
  if held.held_id is null then
    perform sealcast_internal.refuse(404, 'message_not_found', 'no message was held under this held_id', null,
                                     'Take the held_id from held_messages_of().');
  elsif held.outcome is null and held.expires_at <= clock_timestamp() then
    held.outcome := 'expired';
  end if;
  return held;
end $$;

create function sealcast_internal.refuse_decided(held sealcast.held_messages) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.refuse(409, 'already_decided', format('the message is %s already', held.outcome), null,
                                   'A decision cannot be changed. Redact an approved message; the sender may send another one.');
end $$;

create function sealcast.approve_message(held_id uuid) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held constant sealcast.held_messages := sealcast_internal.held_to_decide(held_id);
  sealed sealcast.verdict;
begin
  if held.outcome = 'approved' then
    return (select o.envelope::json from sealcast_internal.originals(array[held.sender_id], array[held.txn_id]) o);
  elsif held.outcome is not null then
    perform sealcast_internal.refuse_decided(held);
  end if;
  -- A newer key belongs to another message: the one of this message was trimmed.
  delete from sealcast.txn_keys k
  where k.sender_id = held.sender_id and k.txn_id = held.txn_id and k.ts <= floor(extract(epoch from held.held_at) * 1000);
  select * into sealed from sealcast_internal.admit_held(held.stream_id, held.t, held.sender_id, held.txn_id, held.d,
                                                         held.sent_hash, held.held_by <> 'hook');
  if sealed.status between 400 and 499 then
    perform sealcast_internal.refuse(409, 'not_admissible', 'the message would be refused now', sealed.code || ': ' || sealed.message,
                                     'End the reason of the refusal first, or deny the message.');
  end if;
  perform sealcast_internal.require_sealed(sealed);
  update sealcast.held_messages h
  set outcome = 'approved', d = null, decided_by = sealcast.caller_id(), decided_at = clock_timestamp()
  where h.held_id = held.held_id;
  perform sealcast_internal.log_act('approve_message', held.stream_id, held.sender_id, null, null, jsonb_build_object(
    'held_id', held.held_id, 'txn_id', held.txn_id, 'held_by', held.held_by));
  return sealed.envelope::json;
end $$;
comment on function sealcast.approve_message(uuid) is
  'Seals a held message, which takes its place in the stream now, and returns its envelope. Refuses when the sender may not send it now. A message that is approved already is not sealed again. For moderators, other than its sender; only owners decide about messages of owners and moderators';

create function sealcast.deny_message(held_id uuid, reason text default null) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held constant sealcast.held_messages := sealcast_internal.held_to_decide(held_id);
begin
  perform sealcast_internal.require_short('reason', reason);
  if held.outcome = 'denied' then
    return false;
  elsif held.outcome is not null then
    perform sealcast_internal.refuse_decided(held);
  end if;
  update sealcast.held_messages h
  set outcome = 'denied', d = null, reason = deny_message.reason, decided_by = sealcast.caller_id(), decided_at = clock_timestamp()
  where h.held_id = held.held_id;
  perform sealcast_internal.log_act('deny_message', held.stream_id, held.sender_id, reason, null, jsonb_build_object(
    'held_id', held.held_id, 'txn_id', held.txn_id, 'held_by', held.held_by));
  return true;
end $$;
comment on function sealcast.deny_message(uuid, text) is
  'Denies a held message and erases its content. The sender learns the outcome and the reason when the message is repeated. Returns false when it is denied already. For the same callers as approve_message()';

-- Denies the waiting messages of a user since a time (null: all), as a part of a purge. The caller is authorised and has
-- locked the stream. Returns how many.
create function sealcast_internal.deny_messages_of(stream_id uuid, user_id uuid, since timestamptz) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  denied bigint;
begin
  update sealcast.held_messages h
  set outcome = 'denied', d = null, decided_by = sealcast.caller_id(), decided_at = clock_timestamp()
  where h.stream_id = deny_messages_of.stream_id and h.sender_id = deny_messages_of.user_id and h.outcome is null
    and h.held_at >= coalesce(since, '-infinity');
  get diagnostics denied = row_count;
  if denied > 0 then
    perform sealcast_internal.log_act('deny_messages', stream_id, user_id, null, null, jsonb_build_object('messages', denied));
  end if;
  return denied;
end $$;

create function sealcast.held_messages_of(stream_id uuid, "limit" integer default 50, after uuid default null,
                                          out held_id uuid, out sender_id uuid, out txn_id uuid, out t text, out d json, out held_by text,
                                          out term_id uuid, out detail text, out held_at timestamptz, out expires_at timestamptz)
  returns setof record
  language plpgsql stable rows 50 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_internal.require_page_limit(held_messages_of."limit");
  perform sealcast_internal.authorise('read_held', held_messages_of.stream_id);
  return query
  with page as (
    select w.*, sum(octet_length(w.d)) over (order by w.held_id) - octet_length(w.d) as bytes_before
    from (select h.* from sealcast.held_messages h
          where h.stream_id = held_messages_of.stream_id and h.outcome is null and h.expires_at > clock_timestamp()
            and h.held_id > coalesce(held_messages_of.after, '00000000-0000-0000-0000-000000000000')
          order by h.held_id limit held_messages_of."limit") w
  )
  select p.held_id, p.sender_id, p.txn_id, p.t, p.d::json, p.held_by, p.term_id, p.detail, p.held_at, p.expires_at
  from page p where p.bytes_before < 1048576 order by p.held_id;
end $$;
comment on function sealcast.held_messages_of(uuid, integer, uuid) is
  'Returns the messages of a stream that wait for a moderator, the oldest first. after: the held_id of the last message of the page before. A page ends early with the message that brings it to 1 MiB. For moderators';

-- Ends the waiting of messages, and deletes rows of decided ones after their keys.
create function sealcast_internal.trim_held(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := 1000;
  expired bigint;
begin
  update sealcast.held_messages h set outcome = 'expired', d = null, decided_at = clock_timestamp()
  where h.held_id in (select e.held_id from sealcast.held_messages e
                      where e.outcome is null and e.expires_at <= clock_timestamp()
                      order by e.expires_at limit most for update skip locked);
  get diagnostics expired = row_count;
  return query select 'expired', format('%s held messages', expired) where expired > 0;
  return query select 'unfinished', null where expired = most;
  return query select * from sealcast_internal.trim_pages('sealcast.held_messages',
    't.outcome is not null and ' || sealcast_internal.older_than('t.held_at', 2 * keep), sealcast_internal.pass_time(keep));
end $$;

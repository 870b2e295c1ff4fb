-- Redaction: the content of a message is erased, and its envelope keeps the hash of the content and the signature. Each
-- redaction is announced by a message of the system, in the same transaction. Invariants: the redactions of a stream
-- follow each other under the lock of its row; messages.d is null exactly for the rows of sealcast.redactions.

-- Returns the key of the message that has the offset; no values: there is none.
create function sealcast_internal.place_of(stream_id uuid, "offset" bigint, out ts bigint, out message_id bigint)
  returns record
  language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  select run.ts, run.first_id + place_of."offset" - run."offset" into ts, message_id from (
    select r.* from sealcast.stream_runs r
    where r.stream_id = place_of.stream_id and r."offset" <= place_of."offset" order by r."offset" desc limit 1) run
  where place_of."offset" < run."offset" + run.messages;
end $$;

-- Returns the offset of a run: the first one of the stream that was logged at `since` or later, in Unix milliseconds. A
-- search by halves finds it, for logged_at never decreases within a stream, unless a clock was set back.
create function sealcast_internal.first_run_since(stream_id uuid, since bigint) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  low bigint := (select s.trimmed_through from sealcast.streams s where s.stream_id = first_run_since.stream_id) + 1;
  high bigint := sealcast_internal.last_offset(stream_id) + 1;
  middle bigint;
  run record;
begin
  while low < high loop
    middle := (low + high) / 2;
    select r."offset", r.messages, r.logged_at into run from sealcast.stream_runs r
    where r.stream_id = first_run_since.stream_id and r."offset" <= middle order by r."offset" desc limit 1;
    if run.logged_at >= since then
      high := greatest(low, run."offset");
    else
      low := greatest(middle + 1, run."offset" + run.messages);
    end if;
  end loop;
  return low;
end $$;

-- Returns the offset of a message; null: it has none yet. Nearly always it is in one of the first runs that were logged
-- after it was sealed. Otherwise the search begins a minute earlier, for a clock that was set back.
create function sealcast_internal.offset_of(stream_id uuid, ts bigint, message_id bigint) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  tolerance bigint;
  first bigint;
  found_offset bigint;
begin
  foreach tolerance in array array[0, 60000] loop
    first := sealcast_internal.first_run_since(stream_id, ts - tolerance);
    select r."offset" + offset_of.message_id - r.first_id into found_offset from sealcast.stream_runs r
    where r.stream_id = offset_of.stream_id and r."offset" >= first and r.logged_at >= offset_of.ts - tolerance
      and r.first_id <= offset_of.message_id and offset_of.message_id < r.first_id + r.messages
    order by r."offset" limit 1;
    if found then
      return found_offset;
    end if;
  end loop;
  return null;
end $$;

create function sealcast_internal.require_purge(stream_id uuid, purge interval) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if purge <= interval '0' then
    perform sealcast_internal.refuse(400, 'invalid_request', format('purge is not positive: %s', purge), null,
                            'Pass how far back the messages of the user are redacted, for example 10 minutes.');
  elsif purge is not null and stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'purge needs a stream_id', null,
                            'Restrict the user everywhere without purge, and redact the messages stream by stream.');
  end if;
end $$;

-- Raises unless the caller may redact a message of this type, sender and time, and locks the stream.
create function sealcast_internal.authorise_redaction(message sealcast.messages) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  rank sealcast.user_rank;
  own_within constant interval := (select y.redact_own_within from sealcast.message_types y where y.t = message.t);
begin
  if sealcast_internal.is_admin() then
    perform sealcast_internal.authorise_and_lock('redact', message.stream_id);
  elsif message.sender_id = '00000000-0000-0000-0000-000000000000' then
    perform sealcast_internal.authorise('redact', message.stream_id);
    perform sealcast_internal.refuse(403, 'role_required', 'only sealcast_admin may redact a message of the system',
                                     'sealcast_admin', 'Ask an administrator to do it.');
  elsif message.sender_id = sealcast.caller_id() then
    rank := sealcast_internal.authorise_and_lock('redact_own', message.stream_id);
    if rank < 'moderator'
       and (message.ts >= floor(extract(epoch from clock_timestamp() - own_within) * 1000)) is not true then
      perform sealcast_internal.refuse(403, 'role_required', 'the time in which you may redact this message is over',
        case when own_within is null then format('messages of type %s are not redacted by their senders', message.t)
             else format('%s after sending', own_within) end,
        'Ask a moderator of the stream to do it.');
    end if;
  else
    perform sealcast_internal.authorise_and_lock('redact', message.stream_id, message.sender_id);
  end if;
  if message.t in ('message_redacted', 'messages_purged') then
    perform sealcast_internal.refuse(400, 'invalid_request', 'this message announces a redaction', null,
                                     'A redaction cannot be redacted or undone.');
  end if;
end $$;

-- Sends the message that announces a redaction. Returns its time and its message_id.
create function sealcast_internal.announce_redaction(stream_id uuid, t text, d json, out redacted_at bigint, out event_id bigint)
  returns record
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  event_txn constant uuid := gen_random_uuid();
  sealed sealcast.verdict;
begin
  select * into sealed from sealcast.admit(array[stream_id], array[t], array[system_sender], array[event_txn], array[d::text]);
  perform sealcast_internal.require_sealed(sealed);
  perform sealcast_internal.queue_webhook(t, stream_id, (jsonb_build_object('stream_id', stream_id) || d::jsonb)::json);
  select k.ts, k.message_id into strict redacted_at, event_id from sealcast.txn_keys k
  where k.sender_id = system_sender and k.txn_id = event_txn;
end $$;

-- Erases the content of messages that have it. The plan depends on the bounds, so that no other partition is locked.
create function sealcast_internal.erase_content(ts bigint[], message_ids bigint[], first_ts bigint, last_ts bigint, redacted_at bigint,
                                       event_id bigint, reason text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
begin
  insert into sealcast.redactions (ts, message_id, stream_id, payload_hash, redacted_by, redacted_at, reason, event_id)
  select m.ts, m.message_id, m.stream_id, sha256(convert_to(m.d, 'UTF8')), sealcast.caller_id(), erase_content.redacted_at,
         erase_content.reason, erase_content.event_id
  from unnest(erase_content.ts, message_ids) e (ts, message_id)
  join sealcast.messages m on m.ts = e.ts and m.message_id = e.message_id and m.ts between first_ts and last_ts;
  update sealcast.messages m set d = null
  from unnest(erase_content.ts, message_ids) e (ts, message_id)
  where m.ts = e.ts and m.message_id = e.message_id and m.ts between first_ts and last_ts;
end $$;

-- Redacts the message with the offset, or else with the key (sender_id, txn_id); sender_id null: the caller.
create function sealcast_internal.redact(stream_id uuid, "offset" bigint, sender_id uuid, txn_id uuid, reason text) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
declare
  sender constant uuid := coalesce(sender_id, sealcast.caller_id());
  place record;
  log_offset bigint := "offset";
  message sealcast.messages;
  event record;
begin
  if stream_id is null or ("offset" is null) = (txn_id is null) or ("offset" is not null and sender_id is not null) then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the message is not named', null,
                                     'Pass stream_id, and either offset or txn_id with its sender_id.');
  end if;
  perform sealcast_internal.require_short('reason', reason);
  perform sealcast_internal.authorise('redact_own', stream_id);
  if "offset" is not null then
    place := sealcast_internal.place_of(stream_id, "offset");
  else
    select k.ts, k.message_id into place from sealcast.txn_keys k where k.sender_id = sender and k.txn_id = redact.txn_id;
  end if;
  select m.* into message from sealcast.messages m
  where m.ts = place.ts and m.message_id = place.message_id and m.stream_id = redact.stream_id;
  if not found then
    -- Only a moderator learns that there is no such message of somebody else.
    if "offset" is not null or sender is distinct from sealcast.caller_id() then
      perform sealcast_internal.authorise('redact', stream_id);
    end if;
    perform sealcast_internal.refuse(404, 'message_not_found', 'the stream has no such message', null,
                                     'Check offset, or txn_id and sender_id. Retention may have dropped the message.');
  end if;
  perform sealcast_internal.authorise_redaction(message);
  -- Another redaction may have ended while this one waited for the lock.
  select m.* into message from sealcast.messages m where m.ts = place.ts and m.message_id = place.message_id;
  if message.d is null then
    return false;
  end if;
  log_offset := coalesce(log_offset, sealcast_internal.offset_of(stream_id, message.ts, message.message_id));
  event := sealcast_internal.announce_redaction(stream_id, 'message_redacted', json_build_object(
    'offset', log_offset, 'txn_id', message.txn_id, 'sender_id', message.sender_id, 'ts', message.ts, 'by', sealcast.caller_id(), 'reason', reason));
  perform sealcast_internal.erase_content(array[message.ts], array[message.message_id], message.ts, message.ts,
                                 event.redacted_at, event.event_id, reason);
  perform sealcast_internal.unpin_redacted(stream_id);
  if message.sender_id is distinct from sealcast.caller_id() then
    perform sealcast_internal.log_act('redact_message', stream_id, message.sender_id, reason, null,
                                      jsonb_build_object('offset', log_offset, 'txn_id', message.txn_id));
  end if;
  return true;
end $$;

create function sealcast.redact_message(stream_id uuid, "offset" bigint, reason text default null) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.redact(stream_id, "offset", null, null, reason);
create function sealcast.redact_message(stream_id uuid, txn_id uuid, sender_id uuid default null, reason text default null) returns boolean
  language sql set search_path = pg_catalog, pg_temp
  return sealcast_internal.redact(stream_id, null, sender_id, txn_id, reason);
comment on function sealcast.redact_message(uuid, bigint, text) is
  'Erases the content of a message; its hash and its signature stay. For moderators of the stream and sealcast_admin, and for the sender within message_types.redact_own_within. Returns false when it is redacted already';
comment on function sealcast.redact_message(uuid, uuid, uuid, text) is
  'Redacts the message with this txn_id, also before it has an offset. sender_id null: a message of the caller';

-- Returns the messages of a user in a stream since a time (Unix ms; null: all) that have their content. A message younger
-- than the kept keys is found by its key; for the older ones, the messages of the stream are read.
create function sealcast_internal.messages_of(stream_id uuid, user_id uuid, since bigint, out ts bigint, out message_id bigint)
  returns setof record
  language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
declare
  keys_from constant bigint := (select floor(extract(epoch from now() - r.keep_txn_ids) * 1000) from sealcast_internal.current_retention() r);
  first_ts constant bigint := coalesce(since, 0);
begin
  return query
  select m.ts, m.message_id from sealcast.txn_keys k
  join sealcast.messages m on m.ts = k.ts and m.message_id = k.message_id and m.ts >= first_ts
  where k.sender_id = messages_of.user_id and k.ts >= first_ts and m.stream_id = messages_of.stream_id and m.d is not null;
  if first_ts < coalesce(keys_from, 0) then
    return query
    select m.ts, m.message_id from sealcast.stream_runs r
    join sealcast.messages m on m.ts = r.ts and m.message_id >= r.first_id and m.message_id < r.first_id + r.messages
    where r.stream_id = messages_of.stream_id and r.ts between first_ts and keys_from and m.ts between first_ts and keys_from
      and m.sender_id = messages_of.user_id and m.stream_id = messages_of.stream_id and m.d is not null
      and not exists (select from sealcast.txn_keys k where k.sender_id = m.sender_id and k.txn_id = m.txn_id);
  end if;
end $$;

-- Erases the content of messages of a user, and announces it by one message, unless the stream has no readers here. The
-- caller is authorised and has locked the stream. Returns how many messages there are.
create function sealcast_internal.purge_found(stream_id uuid, user_id uuid, ts bigint[], message_ids bigint[], reason text,
                                              announced boolean default true) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  messages constant bigint := coalesce(cardinality(ts), 0);
  first_ts constant bigint := (select min(t) from unnest(ts) t);
  last_ts constant bigint := (select max(t) from unnest(ts) t);
  redacted_at bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  event_id bigint := 0;
begin
  if messages = 0 then
    return 0;
  end if;
  if announced then
    select a.redacted_at, a.event_id into redacted_at, event_id
    from sealcast_internal.announce_redaction(stream_id, 'messages_purged', json_build_object(
      'user_id', user_id, 'since', first_ts, 'through', last_ts, 'by', sealcast.caller_id(), 'reason', reason)) a;
  end if;
  perform sealcast_internal.erase_content(ts, message_ids, first_ts, last_ts, redacted_at, event_id, reason);
  if announced then
    perform sealcast_internal.unpin_redacted(stream_id);
  end if;
  perform sealcast_internal.log_act('redact_messages', stream_id, user_id, reason, null, jsonb_build_object(
    'since', first_ts, 'through', last_ts, 'messages', messages));
  return messages;
end $$;

-- Redacts the messages of a user since a time. The caller is authorised and has locked the stream. Returns how many.
create function sealcast_internal.purge_messages(stream_id uuid, user_id uuid, since timestamptz, reason text) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found_messages record;
begin
  perform sealcast_internal.deny_messages_of(stream_id, user_id, since);
  select array_agg(m.ts) as ts, array_agg(m.message_id) as ids into found_messages
  from sealcast_internal.messages_of(stream_id, user_id, case when since <> '-infinity' then floor(extract(epoch from since) * 1000)::bigint end) m;
  return sealcast_internal.purge_found(stream_id, user_id, found_messages.ts, found_messages.ids, reason);
end $$;

create function sealcast.redact_messages(stream_id uuid, user_id uuid, since timestamptz default null, reason text default null)
  returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream whose messages are redacted.');
  end if;
  perform sealcast_internal.require_user(user_id);
  if since > clock_timestamp() then
    perform sealcast_internal.refuse(400, 'invalid_request', format('since %s is in the future', since), null,
                                     'Pass an earlier time, or null for all messages of the user.');
  end if;
  perform sealcast_internal.require_short('reason', reason);
  -- Moderators may redact their own messages.
  perform sealcast_internal.authorise_and_lock('redact', stream_id, nullif(user_id, sealcast.caller_id()));
  return sealcast_internal.purge_messages(stream_id, user_id, since, reason);
end $$;
comment on function sealcast.redact_messages(uuid, uuid, timestamptz, text) is
  'Redacts the messages that the user has sent to the stream since a time (null: all that are kept), and announces them by one message. For moderators of the stream and sealcast_admin. Returns how many';

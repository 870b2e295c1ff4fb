-- What happens to events that fail: they wait, are retried, and become dead letters that can be replayed.

-- Failed events wait in event_attempts, and the later events of their senders wait behind them. Two transactions use the
-- queue of a sender at the same time: one adds events that were read from a partition (hold_events), the other one
-- retries the first events (apply_events). So an event is added while a row with due_at is locked against its deletion,
-- and after a deletion queue_sender() gives the first row a due_at. Both happen at the end of their transactions, so
-- neither waits for a handler.

-- The pause after a failed attempt: 0.2 s, 0.4 s, … up to 30 s.
create function sealcast_internal.retry_pause(attempts integer) returns interval
  language sql immutable set search_path = pg_catalog, pg_temp
  return least(interval '30 s', interval '100 ms' * 2 ^ least(attempts, 20));

-- Makes the first waiting event of a sender the one that is applied next. The lock waits for a transaction that deletes
-- this event, and then finds the event behind it.
create function sealcast_internal.queue_sender(handler text, sender_id uuid) returns void
  -- Reads few rows, however many events of the sender wait.
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  first sealcast.event_attempts;
begin
  select a.* into first from sealcast.event_attempts a
  where a.handler = queue_sender.handler and a.sender_id = queue_sender.sender_id
  order by a.stream_id, a."offset", a.txn_id limit 1
  for no key update;
  update sealcast.event_attempts a set due_at = null
  where a.handler = queue_sender.handler and a.sender_id = queue_sender.sender_id and a.due_at is not null
    and a.txn_id <> first.txn_id;
  update sealcast.event_attempts a
  set due_at = case when a.attempts = 0 then clock_timestamp() else a.failed_at + sealcast_internal.retry_pause(a.attempts) end
  where a.handler = first.handler and a.sender_id = first.sender_id and a.txn_id = first.txn_id;
end $$;

-- Adds events behind the waiting events of their senders.
create function sealcast_internal.hold_events(handler text, events sealcast.event[]) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  senders constant uuid[] := array(select distinct e.sender_id from unnest(events) e order by 1);
  -- A row that was deleted in the meantime is not returned.
  queued constant uuid[] := array(
    select a.sender_id from sealcast.event_attempts a
    where a.handler = hold_events.handler and a.sender_id = any (senders) and a.due_at is not null
    order by a.sender_id for key share);
begin
  insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset")
  select hold_events.handler, e.sender_id, e.txn_id, 0, 'waits for an earlier event of its sender', e.stream_id, e."offset"
  from unnest(events) e
  on conflict do nothing;
  perform sealcast_internal.queue_sender(hold_events.handler, s) from unnest(senders) s where s <> all (queued);
end $$;

-- Forgets the failures of events that are applied, and the attempts of events that are not applied at all. Returns the
-- senders whose waiting events are fewer now.
create function sealcast_internal.forget_failures(handler text, events sealcast.event[], applied boolean[]) returns uuid[]
  -- With nested loops alone, each event is found by its key, however old the statistics are.
  language plpgsql set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  changed uuid[];
begin
  with gone as (
    delete from sealcast.event_attempts a using unnest(events) e
    where a.handler = forget_failures.handler and a.sender_id = e.sender_id and a.txn_id = e.txn_id
    returning a.sender_id
  )
  select array_agg(distinct gone.sender_id) into changed from gone;
  delete from sealcast.event_dead_letters d using unnest(events, applied) e (t, stream_id, sender_id, txn_id, ts, "offset", d, envelope, applied)
  where d.handler = forget_failures.handler and d.sender_id = e.sender_id and d.txn_id = e.txn_id and e.applied;
  return changed;
end $$;

create function sealcast_internal.bury_event(handler sealcast.event_handlers, event sealcast.event, reason text, attempts integer,
                                             uncertain boolean default false)
  returns void
  language sql set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast.event_attempts a
  where a.handler = (bury_event.handler).name and a.sender_id = (event).sender_id and a.txn_id = (event).txn_id;
  insert into sealcast.event_dead_letters as d (group_name, handler, stream_id, "offset", sender_id, txn_id, reason, attempts, uncertain)
  values ((bury_event.handler).group_name, (bury_event.handler).name, (event).stream_id, (event)."offset", (event).sender_id,
          (event).txn_id, left(bury_event.reason, 1000), bury_event.attempts, bury_event.uncertain)
  on conflict on constraint event_dead_letters_key do update
    set reason = excluded.reason, attempts = excluded.attempts, failed_at = excluded.failed_at, replay = false,
        uncertain = d.uncertain or excluded.uncertain;
end;

-- Counts a failure. Returns dead when it was the last attempt and the event is now a dead letter, else failed: the event
-- waits in event_attempts. An event that waited behind another one gets five attempts of its own.
create function sealcast_internal.note_event_failure(handler sealcast.event_handlers, event sealcast.event, reason text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tried integer;
  waits_since timestamptz;
  given_up boolean := false;
begin
  select d.attempts + 1, true into tried, given_up from sealcast.event_dead_letters d
  where d.handler = handler.name and d.sender_id = event.sender_id and d.txn_id = event.txn_id;
  if not coalesce(given_up, false) then
    insert into sealcast.event_attempts as a (handler, sender_id, txn_id, attempts, reason, stream_id, "offset", due_at)
    values (handler.name, event.sender_id, event.txn_id, 1, left(reason, 1000), event.stream_id, event."offset", clock_timestamp())
    on conflict on constraint event_attempts_pkey do update
      set attempts = a.attempts + 1, reason = excluded.reason, failed_at = excluded.failed_at
    returning a.attempts, a.waits_since into tried, waits_since;
    if not (coalesce(tried >= handler.max_attempts, false)
            or tried >= 5 and waits_since <= clock_timestamp() - handler.give_up_after) then
      return 'failed';
    end if;
  end if;
  perform sealcast_internal.bury_event(handler, event, reason, tried);
  return 'dead';
end $$;

-- Makes an event that cannot be applied now a dead letter, without an attempt, unless its effect shows that it was
-- applied.
create function sealcast_internal.set_aside(handler sealcast.event_handlers, event sealcast.event, reason text, uncertain boolean)
  returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from sealcast.event_effects f
             where f.handler = handler.name and f.sender_id = event.sender_id and f.txn_id = event.txn_id) then
    return 'repeated';
  end if;
  perform sealcast_internal.bury_event(handler, event, reason, 0, uncertain);
  return 'dead';
end $$;

-- Returns the envelope of an event's message; null: the message is not stored any more. The offset shows the place of a
-- message whose key is trimmed.
create function sealcast_internal.event_message(sender_id uuid, txn_id uuid, stream_id uuid, "offset" bigint) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  place record;
begin
  select k.ts, k.message_id into place from sealcast.txn_keys k
  where k.sender_id = event_message.sender_id and k.txn_id = event_message.txn_id;
  if not found then
    place := sealcast_internal.place_of(event_message.stream_id, event_message."offset");
  end if;
  return (select sealcast.envelope(m) from sealcast.messages m
          where m.ts = place.ts and m.message_id = place.message_id
            and m.sender_id = event_message.sender_id and m.txn_id = event_message.txn_id);
end $$;

-- Returns the events whose sender has waiting events. An event that may have been applied longer ago than effects are
-- kept is left out, unless it waits itself.
create function sealcast_internal.behind_others(handler sealcast.event_handlers, events sealcast.event[], out item integer, out outcome text)
  returns setof record
  -- As in forget_failures().
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  waiting constant uuid[] := array(
    select distinct a.sender_id from sealcast.event_attempts a
    where a.handler = handler.name and a.due_at is not null and a.sender_id = any (array(select e.sender_id from unnest(events) e)));
begin
  if waiting = '{}' then
    return;
  end if;
  return query
  select e.n::integer, case when f.handler is null then 'held' else 'repeated' end
  from unnest(events) with ordinality e (t, stream_id, sender_id, txn_id, ts, "offset", d, envelope, n)
  left join sealcast.event_effects f on f.handler = handler.name and f.sender_id = e.sender_id and f.txn_id = e.txn_id
  where e.sender_id = any (waiting)
    and (f.handler is not null or e.ts >= handler.effects_from
         or exists (select from sealcast.event_attempts a
                    where a.handler = handler.name and a.sender_id = e.sender_id and a.txn_id = e.txn_id));
end $$;

-- Records what became of events: adds the held ones to the queues of their senders, and removes the others.
create function sealcast_internal.note_outcomes(handler sealcast.event_handlers, events sealcast.event[], outcomes text[], retried boolean)
  returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held constant sealcast.event[] := array(select events[x.n] from unnest(outcomes) with ordinality x (outcome, n) where x.outcome = 'held' order by x.n);
  -- An event that was read from a partition may be forged, and is none of the waiting ones then.
  finished constant integer[] := array(
    select x.n::integer from unnest(outcomes) with ordinality x (outcome, n)
    where x.outcome in ('applied', 'repeated') or retried and x.outcome in ('gone', 'forged', 'other'));
  i integer;
  changed uuid[] := array(select events[x.n].sender_id from unnest(outcomes) with ordinality x (outcome, n) where x.outcome in ('failed', 'dead'));
begin
  if cardinality(held) > 0 then
    perform sealcast_internal.hold_events(handler.name, held);
  end if;
  if finished <> '{}' then
    changed := changed || sealcast_internal.forget_failures(
      handler.name, array(select events[f.n] from unnest(finished) f (n)),
      array(select outcomes[f.n] in ('applied', 'repeated') from unnest(finished) f (n)));
  end if;
  -- The replay of a dead letter ends with one attempt.
  if retried then
    for i in select x.n from unnest(outcomes) with ordinality x (outcome, n) where x.outcome in ('gone', 'forged', 'other') loop
      update sealcast.event_dead_letters d set replay = false
      where d.handler = handler.name and d.sender_id = events[i].sender_id and d.txn_id = events[i].txn_id;
    end loop;
  end if;
  perform sealcast_internal.queue_sender(handler.name, s.sender_id) from (select distinct sender_id from unnest(changed) c (sender_id) order by 1) s;
end $$;

-- The bound of a page: about 1 MiB of envelopes.
create function sealcast_internal.retry_page_bytes() returns integer
  language sql immutable set search_path = pg_catalog, pg_temp
  return 1048576;

-- Returns waiting events of the group's handlers, of up to max_senders senders, those first that are due for the longest
-- time. An event that has failed is returned alone; after it has succeeded, the events behind it are returned together.
-- An event whose message is not stored any more is removed instead, and one whose message cannot be verified, for example
-- because its key is missing in the keyring, becomes a dead letter.
create function sealcast_internal.events_to_retry(group_name text, max_senders integer,
                                                  out handler text, out sender_id uuid, out "offset" bigint, out envelope text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  queue record;
  waiting record;
  lost uuid[];
  problem text;
  places integer;
  bytes integer := 0;
begin
  for queue in
    select h as handler, h.name, h.batch_size, d.sender_id
    from sealcast.event_handlers h cross join lateral (
      select a.sender_id, a.due_at from sealcast.event_attempts a
      where a.handler = h.name and a.due_at <= clock_timestamp() order by a.due_at limit max_senders) d
    where h.active and h.group_name = events_to_retry.group_name
    order by d.due_at limit max_senders
  loop
    lost := '{}';
    places := 0;
    for waiting in
      select a.txn_id, a.stream_id, a."offset", a.attempts from sealcast.event_attempts a
      where a.handler = queue.name and a.sender_id = queue.sender_id
      order by a.stream_id, a."offset", a.txn_id limit queue.batch_size
    loop
      exit when places > 0 and (waiting.attempts > 0 or bytes > sealcast_internal.retry_page_bytes());
      envelope := sealcast_internal.event_message(queue.sender_id, waiting.txn_id, waiting.stream_id, waiting."offset");
      problem := (sealcast_internal.open_envelope(envelope, waiting."offset")).problem;
      if problem is not null then
        lost := lost || waiting.txn_id;
        if envelope is not null then
          perform sealcast_internal.bury_event(queue.handler, row(null, waiting.stream_id, queue.sender_id, waiting.txn_id, null, waiting."offset", null, null)::sealcast.event,
                                               'the stored message cannot be verified: ' || problem, waiting.attempts);
        end if;
        continue;
      end if;
      handler := queue.name;
      sender_id := queue.sender_id;
      "offset" := waiting."offset";
      places := places + 1;
      bytes := bytes + octet_length(envelope);
      return next;
      exit when waiting.attempts > 0;
    end loop;
    if lost <> '{}' then
      delete from sealcast.event_attempts a
      where a.handler = queue.name and a.sender_id = queue.sender_id and a.txn_id = any (lost);
      perform sealcast_internal.queue_sender(queue.name, queue.sender_id);
    end if;
    exit when bytes > sealcast_internal.retry_page_bytes();
  end loop;
end $$;

-- Returns how many events of the group wait for a retry; at most 10,000 are counted.
create function sealcast_internal.waiting_events(group_name text) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
begin atomic
  select count(*) from (
    select from sealcast.event_handlers h join sealcast.event_attempts a on a.handler = h.name
    where h.active and h.group_name = waiting_events.group_name limit 10000) w;
end;

-- Returns the dead letters of the group's handlers that are marked for replay. A dead letter whose message is not stored
-- any more, or cannot be verified, is unmarked instead. Those of handlers that are not registered any more keep their mark, and wait.
create function sealcast_internal.event_dead_letters_to_replay(group_name text, max_rows integer,
                                                      out handler text, out "offset" bigint, out envelope text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  letter record;
  problem text;
  bytes integer := 0;
begin
  for letter in
    select d.* from sealcast.event_handlers h cross join lateral (
      select * from sealcast.event_dead_letters d
      where d.handler = h.name and d.replay order by d.stream_id, d."offset", d.txn_id limit max_rows) d
    where h.active and h.group_name = event_dead_letters_to_replay.group_name limit max_rows
  loop
    envelope := sealcast_internal.event_message(letter.sender_id, letter.txn_id, letter.stream_id, letter."offset");
    problem := (sealcast_internal.open_envelope(envelope, letter."offset")).problem;
    if problem is not null then
      update sealcast.event_dead_letters d
      set replay = false,
          reason = left(case when envelope is null then 'retention has dropped the message; '
                             else format('the stored message cannot be verified: %s; ', problem) end || d.reason, 1000)
      where d.handler = letter.handler and d.sender_id = letter.sender_id and d.txn_id = letter.txn_id;
      continue;
    end if;
    handler := letter.handler;
    "offset" := letter."offset";
    bytes := bytes + octet_length(envelope);
    return next;
    exit when bytes > sealcast_internal.retry_page_bytes();
  end loop;
end $$;

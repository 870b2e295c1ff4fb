-- Applies events: verifies each envelope, then runs a handler over a batch in one transaction, with one row per effect.

-- Reads the event from an envelope, which must be byte for byte as messages are sealed. It gives an answer to any text:
-- the event, or its problem. The type of a message has no colon, and its ids are UUIDs: any other envelope was signed for
-- a table of the user, by seal_row() or seal().
create function sealcast_internal.open_envelope(envelope text, "offset" bigint, out event sealcast.event, out problem text)
  language c stable as 'MODULE_PATHNAME', 'sealcast_open_envelope';

-- Returns the handler, if it is registered for the group.
create function sealcast_internal.handler_of(group_name text, handler text) returns sealcast.event_handlers
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  h sealcast.event_handlers;
begin
  select * into h from sealcast.event_handlers e
  where e.name = handler_of.handler and e.group_name = handler_of.group_name and e.active;
  return h;
end $$;

-- Applies the events that have no effect yet, in order, all or none. Returns the places in `events` of those it
-- applied.
create function sealcast_internal.apply_batch(handler sealcast.event_handlers, events sealcast.event[]) returns integer[]
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  fresh sealcast.event[];
  places integer[];
begin
  with once as (
    select distinct on (e.sender_id, e.txn_id) e.sender_id, e.txn_id, e.ts, place
    from unnest(events) with ordinality e (t, stream_id, sender_id, txn_id, ts, "offset", d, envelope, place)
    order by e.sender_id, e.txn_id, place
  ), added as (
    insert into sealcast.event_effects (handler, sender_id, txn_id, ts)
    select handler.name, o.sender_id, o.txn_id, o.ts from once o
    on conflict do nothing returning sender_id, txn_id
  )
  select array_agg(events[o.place] order by o.place), array_agg(o.place::integer order by o.place) into fresh, places
  from once o join added using (sender_id, txn_id);
  if fresh is not null then
    perform sealcast_internal.call_handler(to_regprocedure(handler.function), fresh);
  end if;
  return coalesce(places, '{}');
end $$;

-- Applies one event. Constraints and triggers that are deferred to the end of the transaction are checked at once, so
-- that they fail this event alone. The rollback makes them deferred again for the next event.
create function sealcast_internal.apply_alone(handler sealcast.event_handlers, event sealcast.event) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  applied constant boolean := sealcast_internal.apply_batch(handler, array[event]) <> '{}';
begin
  begin
    perform sealcast_internal.check_deferred(to_regprocedure(handler.function));
    raise exception using errcode = 'SCREF';
  exception when sqlstate 'SCREF' then
    null;
  end;
  return applied;
end $$;

-- Returns whether the lease has this epoch. The lock keeps it so until the transaction ends: no other worker takes the
-- partition.
create function sealcast_internal.holds_partition(group_name text, partition integer, epoch bigint) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from sealcast_internal.event_leases l
  where l.group_name = holds_partition.group_name and l.partition = holds_partition.partition and l.epoch = holds_partition.epoch
  for key share;
  return found;
end $$;

-- Returns how many more forged entries of a partition to record. An attacker who can write to Redis can forge any
-- number of entries, and the first thousand per partition are evidence enough.
create function sealcast_internal.room_for_forged(group_name text, partition integer) returns bigint
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select 1000 - count(*) from (
    select from sealcast.event_dead_letters d
    where d.handler is null and d.group_name = room_for_forged.group_name and d.partition = room_for_forged.partition
    limit 1000) kept;
end;

-- Returns the events that are not as their messages are stored. stored: the stored envelope of a message that is redacted
-- by now. Otherwise the event is no stored message, and has an outcome and a reason. A valid signature alone gives no effect: a
-- stolen key, another cell, or a function that signs for other tables can also make one. A key that is trimmed no longer
-- shows where the message is; then the offset shows the place.
create function sealcast_internal.not_stored(envelopes text[], events sealcast.event[], out item integer, out outcome text, out reason text,
                                     out stored text)
  returns setof record
  -- Without enable_seqscan, the planner reads each message by its key.
  language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  return query
  select found.item,
         case when redacted then null when gone then 'gone' else 'forged' end,
         case when redacted then null when gone then 'the message was erased, or retention has dropped it'
              else 'signed, but not a stored message' end,
         case when redacted then found.stored end
  from (
    select e.n::integer as item, envelopes[e.n] as sent, e.envelope,
           (select sealcast.envelope(m) from sealcast.messages m
            where m.ts = coalesce(k.ts, r.ts) and m.message_id = coalesce(k.message_id, r.message_id)) as stored,
           k.ts = e.ts or k.ts is null and e.ts < (
             select extract(epoch from now() - kept.keep_txn_ids)::bigint * 1000 from sealcast.retention kept) as was_sent
    from unnest(events) with ordinality e (t, stream_id, sender_id, txn_id, ts, "offset", d, envelope, n)
    left join sealcast.txn_keys k on k.sender_id = e.sender_id and k.txn_id = e.txn_id
    left join lateral (
      select p.* from sealcast_internal.place_of(e.stream_id, e."offset") p where k.ts is null) r on true
    where e.txn_id is not null) found
  cross join lateral (
    select found.stored is null and coalesce(found.was_sent, false),
           -- Equal signatures prove equal contents, and a message changes by its redaction alone.
           found.stored <> found.sent and (found.stored::json ->> 'kid', found.stored::json ->> 'sig')
                                          = (found.envelope ->> 'kid', found.envelope ->> 'sig')) x (gone, redacted)
  where found.stored is distinct from found.sent
  order by found.item;
end $$;

-- Applies one handler to events that a worker has read from a partition that it leases under `epoch`. entries null: to
-- waiting events or dead letters that events_to_retry() or event_dead_letters_to_replay() has returned. Each event is
-- finished for the worker: an event that is not applied now is recorded. No row: another worker has the lease by now, or
-- the handler is not registered for the group.
-- Outcomes: applied, repeated (it has an effect already), failed (will be retried), held (waits for an earlier event of
-- its sender), dead, forged, gone (its message is not stored any more), other (a genuine message of another type).
create function sealcast_internal.apply_events(group_name text, handler text, partition integer, epoch bigint, envelopes text[],
                                      offsets bigint[], entries text[],
                                      out item integer, out outcome text, out reason text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set deadlock_timeout = '100ms' set jit = off as $$
#variable_conflict use_variable
declare
  h sealcast.event_handlers;
  opened sealcast.event[];
  outcomes text[];
  reasons text[];
  places integer[];
  applied integer[];
  retried constant boolean := entries is null;
  failed_senders uuid[] := '{}';
  missing record;
  waiting record;
  function_problem text;
  i integer;
begin
  if not sealcast_internal.holds_partition(group_name, partition, epoch) then
    return;
  end if;
  h := sealcast_internal.handler_of(group_name, handler);
  if h.name is null then
    return;
  end if;

  select array_agg(o.event order by e.n), array_agg(o.problem order by e.n),
         array_agg(case when o.problem is not null then 'forged' when h.t <> (o.event).t then 'other' end order by e.n)
    into opened, reasons, outcomes
  from unnest(envelopes, offsets) with ordinality e (envelope, "offset", n)
  cross join lateral sealcast_internal.open_envelope(e.envelope, e."offset") o;
  for missing in select * from sealcast_internal.not_stored(envelopes, opened) loop
    if missing.stored is not null then
      -- The handler sees the message as it is now.
      opened[missing.item] := (sealcast_internal.open_envelope(missing.stored, offsets[missing.item])).event;
      continue;
    end if;
    outcomes[missing.item] := missing.outcome;
    reasons[missing.item] := missing.reason;
  end loop;
  if not retried then
    if 'forged' = any (outcomes) then
      insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts)
      select group_name, partition, e.entry, e.problem, 0
      from unnest(entries, reasons) with ordinality e (entry, problem, n)
      where outcomes[e.n] = 'forged'
      order by e.n limit sealcast_internal.room_for_forged(group_name, partition)
      on conflict do nothing;
    end if;
    for waiting in select * from sealcast_internal.behind_others(h, opened) b where outcomes[b.item] is null loop
      outcomes[waiting.item] := waiting.outcome;
    end loop;
    for i in select n from unnest(outcomes) with ordinality x (outcome, n)
             where x.outcome is null and opened[n].ts < h.effects_from loop
      -- The effect may have been trimmed: an admin checks before replaying the event.
      reasons[i] := 'the event is older than the kept effects, and may have been applied already';
      outcomes[i] := sealcast_internal.set_aside(h, opened[i], reasons[i], true);
    end loop;
  end if;
  -- A handler that was changed must hold up neither its group nor the events of other handlers.
  function_problem := sealcast_internal.handler_problem(h.function);
  if function_problem is not null then
    for i in select n from unnest(outcomes) with ordinality x (outcome, n) where x.outcome is null loop
      reasons[i] := format('the handler cannot run: %s', function_problem);
      outcomes[i] := sealcast_internal.set_aside(h, opened[i], reasons[i], false);
    end loop;
  end if;

  -- All partitions share this order, so that they seldom run into deadlocks.
  places := array(select n::integer from unnest(outcomes) with ordinality x (outcome, n) where x.outcome is null
                  order by opened[n].stream_id, opened[n]."offset", n);
  if places <> '{}' then
    begin
      applied := sealcast_internal.apply_batch(h, array(select opened[p.place] from unnest(places) with ordinality p (place, n) order by p.n));
      -- Checks deferred constraints and triggers now, while a failure is known to come from this handler.
      perform sealcast_internal.check_deferred(to_regprocedure(h.function));
      foreach i in array places loop
        outcomes[i] := 'repeated';
      end loop;
      foreach i in array applied loop
        outcomes[places[i]] := 'applied';
      end loop;
    exception
      -- Another transaction caused the error, so the same batch may succeed at once.
      when transaction_rollback or lock_not_available or insufficient_resources or operator_intervention then
        raise;
      when others then
        -- At least one event fails. Apply the events one by one to find it.
        foreach i in array places loop
          if opened[i].sender_id = any (failed_senders) then
            outcomes[i] := 'held';
            continue;
          end if;
          begin
            outcomes[i] := case when sealcast_internal.apply_alone(h, opened[i]) then 'applied' else 'repeated' end;
          exception
            when transaction_rollback or lock_not_available or insufficient_resources or operator_intervention then
              raise;
            when others then
              reasons[i] := format('%s (%s)', left(sqlerrm, 900), sqlstate);
              outcomes[i] := sealcast_internal.note_event_failure(h, opened[i], reasons[i]);
              if outcomes[i] = 'failed' then
                failed_senders := failed_senders || opened[i].sender_id;
              end if;
          end;
        end loop;
        -- Nothing of the handler may run at the commit, with the rights of the worker. A worker takes an error of this
        -- class for a handler that cannot be called, and would wait for its repair.
        begin
          perform sealcast_internal.check_deferred(to_regprocedure(h.function));
        exception when syntax_error_or_access_rule_violation then
          raise exception '%', sqlerrm using errcode = 'raise_exception';
        end;
    end;
  end if;
  perform sealcast_internal.note_outcomes(h, opened, outcomes, retried);
  return query select n::integer, o.outcome, o.reason
               from unnest(outcomes, reasons) with ordinality o (outcome, reason, n) order by n;
end $$;
comment on function sealcast_internal.apply_events(text, text, integer, bigint, text[], bigint[], text[]) is
  'Verifies each envelope and that it is a stored message, then applies the handler to the events that have no effect yet: all together, or one by one when one of them fails. The handler does not run for a repeated event';

-- Counts a failure that aborted the whole statement, such as a timeout. Returns failed or dead, as
-- note_event_failure(). Null: another worker has the lease by now, the handler is not registered for the group, or the
-- envelope is not a message.
create function sealcast_internal.fail_event(group_name text, handler text, partition integer, epoch bigint, envelope text,
                                    "offset" bigint, reason text) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  h constant sealcast.event_handlers := sealcast_internal.handler_of(group_name, handler);
  e sealcast.event;
  outcome text;
begin
  if not sealcast_internal.holds_partition(group_name, partition, epoch) then
    return null;
  end if;
  select (o.event).* into e from sealcast_internal.open_envelope(envelope, "offset") o;
  if h.name is null or e.txn_id is null then
    return null;
  end if;
  outcome := sealcast_internal.note_event_failure(h, e, reason);
  perform sealcast_internal.queue_sender(h.name, e.sender_id);
  return outcome;
end $$;

-- Events: handlers apply each message once. This file has the handlers, and the records of their effects, attempts and
-- dead letters.

-- The argument of a handler. ts is in Unix milliseconds; d and envelope are as they were signed. The signature covers
-- all members except "offset". d null: the message was redacted before it was applied.
create type sealcast.event as (
  t text,
  stream_id uuid,
  sender_id uuid,
  txn_id uuid,
  ts bigint,
  "offset" bigint,
  d json,
  envelope json
);

create table sealcast.event_handlers (
  name text primary key check (name ~ '^[a-z][a-z0-9_.-]{0,63}$'),
  t text,
  function text not null check (octet_length(function) <= 1000),
  batch_size integer not null check (batch_size between 1 and 1000),
  max_attempts integer check (max_attempts between 1 and 100),
  timeout interval not null check (timeout between interval '100 ms' and interval '1 minute'),
  group_name text not null check (group_name ~ '^[A-Za-z0-9_.-]{1,64}$'),
  active boolean not null default true,
  registered_at timestamptz not null default clock_timestamp(),
  -- The effects of events with an older ts may have been trimmed, so it is unknown whether such an event was applied.
  effects_from bigint not null default 0,
  give_up_after interval not null default '1 hour' check (give_up_after between interval '0' and interval '7 days')
);
comment on table sealcast.event_handlers is
  'The handlers: workers apply the function to every message of type t (null: all types). See register_handler()';

-- The row and the changes of the handler are one transaction, so applying an event again does nothing.
create table sealcast.event_effects (
  handler text not null,
  sender_id uuid not null,
  txn_id uuid not null,
  ts bigint not null,
  applied_at timestamptz not null default clock_timestamp(),
  primary key (handler, sender_id, txn_id)
);
comment on table sealcast.event_effects is 'Which handler applied which event; kept as long as txn_keys';

-- A queue per handler and sender, in the order of stream_id and offset. Invariant: a sender with rows has a row with
-- due_at. The workers hold none of these events in memory.
create table sealcast.event_attempts (
  handler text not null,
  sender_id uuid not null,
  txn_id uuid not null,
  attempts integer not null,
  reason text not null,
  failed_at timestamptz not null default clock_timestamp(),
  stream_id uuid not null,
  "offset" bigint not null,
  waits_since timestamptz not null default clock_timestamp(),
  -- When the first event of the sender is applied again. Null: the event waits behind it.
  due_at timestamptz,
  primary key (handler, sender_id, txn_id)
);
create index event_attempts_order on sealcast.event_attempts (handler, sender_id, stream_id, "offset", txn_id);
create index event_attempts_due on sealcast.event_attempts (handler, due_at) where due_at is not null;
create index event_attempts_senders on sealcast.event_attempts (handler, sender_id) where due_at is not null;
comment on table sealcast.event_attempts is
  'Events on which a handler failed and which are retried, and the later events of their senders, with 0 attempts';

create table sealcast.event_dead_letters (
  group_name text not null,
  handler text,
  stream_id uuid,
  "offset" bigint,
  sender_id uuid,
  txn_id uuid,
  partition integer,
  entry text,
  reason text not null,
  attempts integer not null,
  failed_at timestamptz not null default clock_timestamp(),
  replay boolean not null default false,
  -- The event may have been applied already: its effect may have been trimmed.
  uncertain boolean not null default false,
  constraint event_dead_letters_key unique nulls not distinct (handler, sender_id, txn_id, group_name, partition, entry),
  check (case when handler is null then entry is not null else txn_id is not null and entry is null end)
);
create index event_dead_letters_replay on sealcast.event_dead_letters (handler, stream_id, "offset", txn_id) where replay;
comment on table sealcast.event_dead_letters is
  'Events that a handler gave up; handler null: an entry of a Redis stream that is not a message of this system. See replay_event_dead_letters() and drop_event_dead_letters()';

-- Returns why a function cannot be a handler, or null. A handler runs with the rights of its owner, and never with
-- those of the worker, which could sign anything. So it must be SECURITY DEFINER, by the decision of its creator.
create function sealcast_internal.handler_problem(function_name text) returns text
  -- plpgsql keeps the plan: workers ask before each batch.
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  p pg_proc;
begin
  select f.* into p from pg_proc f where f.oid = to_regprocedure(function_name);
  return case
    when p.oid is null then 'the function does not exist'
    when p.prokind <> 'f' or p.proretset or p.prorettype <> 'void'::regtype
         or p.pronargs <> 1 or p.proargtypes[0] not in ('sealcast.event'::regtype, 'sealcast.event[]'::regtype)
      then 'it is not a function (sealcast.event) or (sealcast.event[]) returns void'
    when p.provolatile <> 'v' then 'it is not VOLATILE, so its calls may be left out'
    when not p.prosecdef then 'it is not SECURITY DEFINER, so it would run with the rights of the worker'
    when not has_function_privilege('sealcast_service', p.oid, 'execute') then 'sealcast_service has no EXECUTE privilege on it'
  end;
end $$;

-- Calls a handler for each event, or once for all of them if it takes an array. Settings that the handler changes go back to their values, also if it sets them for the
-- session. These two functions fail if `function` is null: a handler may be dropped while its events are applied.
create function sealcast_internal.call_handler(function regprocedure, events sealcast.event[]) returns void
  language c as 'MODULE_PATHNAME', 'sealcast_call_handler';

-- Checks the deferred constraints and runs the deferred triggers now, with the rights of the function's owner. Settings
-- go back to their values.
create function sealcast_internal.check_deferred(function regprocedure) returns void
  language c as 'MODULE_PATHNAME', 'sealcast_check_deferred';

-- Ends what handlers have left in the session of the worker, besides settings, which call_handler() takes back. The
-- worker calls it in the statement that applies events, so it returns no row.
create function sealcast_internal.clean_session(out outcome text, out reason text) returns setof record
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  select pg_advisory_unlock_all();
  unlisten *;
  close all;
  deallocate all;
  discard sequences;
  discard temp;
  select null, null where false;
$$;

create function sealcast.register_handler(name text, t text, function regprocedure, batch_size integer default 100,
                                          max_attempts integer default null, timeout interval default '5 s',
                                          group_name text default 'default',
                                          give_up_after interval default '1 hour') returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- With the search_path of this function, the text has the schema.
  function_name constant text := function::text;
  problem constant text := sealcast_internal.handler_problem(function_name);
begin
  if problem is not null then
    raise exception 'function % cannot be a handler: %', function, problem
      using errcode = 'invalid_function_definition',
            hint = 'Make it a VOLATILE function (sealcast.event) or (sealcast.event[]) returns void with SECURITY DEFINER, and grant EXECUTE on it to sealcast_service.';
  end if;
  -- Until this transaction commits, no worker applies and acknowledges events without the handler.
  perform from sealcast_internal.event_leases l where l.group_name = register_handler.group_name order by l.partition for update;
  insert into sealcast.event_handlers as h (name, t, function, batch_size, max_attempts, timeout, group_name, give_up_after)
  values (register_handler.name, register_handler.t, function_name, register_handler.batch_size,
          register_handler.max_attempts, register_handler.timeout, register_handler.group_name,
          register_handler.give_up_after)
  on conflict on constraint event_handlers_pkey do update
    set t = excluded.t, function = excluded.function, batch_size = excluded.batch_size,
        max_attempts = excluded.max_attempts, timeout = excluded.timeout, group_name = excluded.group_name,
        give_up_after = excluded.give_up_after, active = true;
  -- New epochs make the workers start again with this handler. An event that they read from now on is finished only
  -- with this handler.
  update sealcast_internal.event_leases l set epoch = l.epoch + 1 where l.group_name = register_handler.group_name;
  update sealcast.event_dead_letters d set group_name = register_handler.group_name
  where d.handler = register_handler.name and d.group_name <> register_handler.group_name;
end $$;
comment on function sealcast.register_handler(text, text, regprocedure, integer, integer, interval, text, interval) is
  'Makes the workers of group_name apply the function once to every message of type t (null: all types). A function (sealcast.event[]) gets up to batch_size messages in one call. An event that fails becomes a dead letter after max_attempts attempts (null: any number), or when it has waited for give_up_after. Registering a name again changes the handler and keeps its effects';

create function sealcast.unregister_handler(name text, forget boolean default false) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if forget then
    delete from sealcast.event_handlers h where h.name = unregister_handler.name;
    delete from sealcast.event_effects e where e.handler = unregister_handler.name;
    delete from sealcast.event_attempts a where a.handler = unregister_handler.name;
    delete from sealcast.event_dead_letters d where d.handler = unregister_handler.name;
  else
    update sealcast.event_handlers h set active = false where h.name = unregister_handler.name;
  end if;
end $$;
comment on function sealcast.unregister_handler(text, boolean) is
  'Stops a handler. Its effects stay known, in case it is registered again; forget: they are deleted too';

-- Returns the handlers that the workers of a group apply.
create function sealcast_internal.handlers_of(group_name text, out name text, out t text, out batch_size integer,
                                     out timeout_ms bigint)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select h.name, h.t, h.batch_size, floor(extract(epoch from h.timeout) * 1000)::bigint
  from sealcast.event_handlers h where h.active and h.group_name = handlers_of.group_name order by h.name;
end;

create function sealcast_internal.event_groups() returns setof text
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select distinct h.group_name from sealcast.event_handlers h where h.active order by 1;
end;
comment on function sealcast_internal.event_groups() is
  'Returns the consumer groups that have handlers. A partition is trimmed only up to the events that every group has finished';

create function sealcast.replay_event_dead_letters(handler text default null, sender_id uuid default null,
                                                   txn_id uuid default null, uncertain boolean default false) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  marked bigint;
begin
  update sealcast.event_dead_letters d set replay = true
  where not d.replay and d.handler = coalesce(replay_event_dead_letters.handler, d.handler)
    and d.sender_id = coalesce(replay_event_dead_letters.sender_id, d.sender_id)
    and d.txn_id = coalesce(replay_event_dead_letters.txn_id, d.txn_id)
    and (replay_event_dead_letters.uncertain or not d.uncertain);
  get diagnostics marked = row_count;
  return marked;
end $$;
comment on function sealcast.replay_event_dead_letters(text, uuid, uuid, boolean) is
  'Marks dead letters for replay: a worker retries each of them once, within seconds. null: all. uncertain: also those that may have been applied already. Returns how many';

create function sealcast.drop_event_dead_letters(handler text default null, sender_id uuid default null,
                                                 txn_id uuid default null, forged boolean default false) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped bigint;
begin
  delete from sealcast.event_dead_letters d
  where case when forged then d.handler is null
             else d.handler = coalesce(drop_event_dead_letters.handler, d.handler)
                  and d.sender_id = coalesce(drop_event_dead_letters.sender_id, d.sender_id)
                  and d.txn_id = coalesce(drop_event_dead_letters.txn_id, d.txn_id) end;
  get diagnostics dropped = row_count;
  return dropped;
end $$;
comment on function sealcast.drop_event_dead_letters(text, uuid, uuid, boolean) is
  'Deletes dead letters; null: all. With forged, deletes the entries that are not messages of this system instead. Returns their number';

-- admit(): the one place that authorises, seals and inserts. send_message() and the sidecar both end here.

-- Seals and stores the admissible items of a batch whose keys nobody else holds, in one statement. Returns their
-- verdicts. Items with an admit hook are left to admit_hooked().
create function sealcast.seal_batch(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[],
                                    message_ids bigint[]) returns setof sealcast.verdict
  language plpgsql rows 100 security definer set search_path = pg_catalog, pg_temp
  -- The joins below are between sets of one batch, whose size the planner cannot know: hash them.
  set plan_cache_mode = force_generic_plan set enable_nestloop = off set enable_mergejoin = off
  set jit = off as $$
declare
  now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  kid constant text := sealcast.signing_kid();
  segment constant smallint := (select last_value from sealcast.outbox_segment);
begin
  return query
  with admissible as materialized (
    select j.item, message_ids[j.item] as message_id, stream_ids[j.item] as stream_id, types[j.item] as t,
           sender_ids[j.item] as sender_id, txn_ids[j.item] as txn_id, j.canonical, j.sent_hash
    from sealcast.judge(stream_ids, types, sender_ids, payloads) j
    where j.status = 200 and j.hook is null and txn_ids[j.item] is not null
  ),
  claimed as (
    -- In key order, so that two batches cannot wait for each other in a circle.
    insert into sealcast.txn_keys (sender_id, txn_id, ts, message_id, sent_hash)
    select a.sender_id, a.txn_id, now_ms, a.message_id, a.sent_hash
    from admissible a order by a.sender_id, a.txn_id, a.item
    on conflict do nothing
    returning message_id
  ),
  sealed as materialized (
    select a.*, sealcast.payload_signature(kid, a.t, a.stream_id, a.sender_id, a.txn_id, now_ms, a.canonical) as sig
    from admissible a join claimed using (message_id)
  ),
  stored as (
    insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
    select now_ms, s.message_id, s.stream_id, s.sender_id, s.txn_id, s.t, kid, s.sig, s.canonical from sealed s
  ),
  queued as (
    insert into sealcast.outbox (xid, message_id, ts, stream_id, shard, segment)
    select pg_current_xact_id(), s.message_id, now_ms, s.stream_id, sealcast.shard_of(s.stream_id), segment
    from sealed s
  )
  select s.item, 200, null::text, null::text, null::text, null::text, null::bigint, false,
         sealcast.envelope_text(kid, s.t, s.stream_id, s.sender_id, now_ms, s.txn_id, s.canonical, s.sig)
  from sealed s order by s.item;
end $$;

-- What the hook answers. It runs as the extension's owner, so only a superuser may name one (90_privileges.sql). When it
-- fails, so does its item alone; only what concerns the whole transaction goes through.
create function sealcast.ask_hook(hook regprocedure, stream_id uuid, sender_id uuid, t text, txn_id uuid, canonical text)
  returns sealcast.refusal
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  refusal sealcast.refusal;
begin
  execute format('select * from %s($1, $2, $3, $4, $5)', hook::oid::regproc)
    into refusal using stream_id, sender_id, t, txn_id, canonical::json;
  if refusal is null then
    return null;
  elsif (refusal.status between 400 and 599 and refusal.code ~ '^[a-z_]+$' and refusal.message is not null) is not true then
    raise exception 'it returned %, not (400 to 599, a code, a message, a hint or null)', refusal;
  end if;
  return refusal;
exception
  when transaction_rollback or lock_not_available then
    raise;
  when others then
    raise log 'sealcast: admit hook % of type % failed for txn_id %: % (%)', hook, t, txn_id, sqlerrm, sqlstate;
    return (500, 'admit_hook_failed', format('the check of messages of type %s failed', t),
            'Retry with the same txn_id; the database''s log has the reason.')::sealcast.refusal;
end $$;

-- One item whose type has an admit hook: claimed, asked, sealed; what the hook refuses leaves no trace.
create function sealcast.admit_hooked(item integer, hook regprocedure, stream_id uuid, t text, sender_id uuid, txn_id uuid,
                                      canonical text, sent_hash bytea, message_id bigint)
  returns sealcast.verdict
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  kid constant text := sealcast.signing_kid();
  sig constant bytea := sealcast.payload_signature(kid, t, stream_id, sender_id, txn_id, now_ms, canonical);
  refusal sealcast.refusal;
begin
  insert into sealcast.txn_keys (sender_id, txn_id, ts, message_id, sent_hash)
    values (sender_id, txn_id, now_ms, message_id, sent_hash) on conflict do nothing;
  if not found then
    return null;
  end if;
  refusal := sealcast.ask_hook(hook, stream_id, sender_id, t, txn_id, canonical);
  if refusal.status is not null then
    raise exception using errcode = 'SCREF';
  end if;
  insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
    values (now_ms, message_id, stream_id, sender_id, txn_id, t, kid, sig, canonical);
  insert into sealcast.outbox (xid, message_id, ts, stream_id, shard, segment)
    values (pg_current_xact_id(), message_id, now_ms, stream_id, sealcast.shard_of(stream_id),
            (select last_value from sealcast.outbox_segment));
  return (item, 200, null, null, null, null, null, false,
          sealcast.envelope_text(kid, t, stream_id, sender_id, now_ms, txn_id, canonical, sig))::sealcast.verdict;
exception when sqlstate 'SCREF' then
  return (item, refusal.status, refusal.code, refusal.message, null, refusal.hint, null, false, null)::sealcast.verdict;
end $$;

-- The items that were not sealed now: repeats get the original, the others what judge() says of them. Runs with a
-- snapshot of its own, so that it sees an original that was committed while the batch waited for its key.
create function sealcast.answer_unsealed(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[],
                                         payloads text[], message_ids bigint[], answered integer[])
  returns setof sealcast.verdict
  language plpgsql rows 10 security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
begin
  return query
  with unsealed as materialized (
    select j.*, (
        select k from sealcast.txn_keys k
        where k.sender_id = sender_ids[j.item] and k.txn_id = txn_ids[j.item]) as key
    from sealcast.judge(stream_ids, types, sender_ids, payloads) j
    where j.item <> all (answered)
  ),
  compared as materialized (
    select u.*, (
        select m from sealcast.messages m where m.ts = (u.key).ts and m.message_id = (u.key).message_id) as original
    from unsealed u
    -- A key that holds this item's own message id was claimed just now.
    where (u.key).message_id is distinct from message_ids[u.item]
  ),
  answer as (
    select c.*,
      (c.key).message_id is not null and c.sent_hash is not null as seen_before,
      (c.key).sent_hash = c.sent_hash and (c.original).t = types[c.item]
        and (c.original).stream_id = stream_ids[c.item] as same
    from compared c
  )
  select v.* from answer a cross join lateral (
    select a.item, 200, null::text, null::text, null::text, null::text, null::bigint, true, sealcast.envelope(a.original)
    where a.seen_before and a.same
    union all
    select a.item, 409, 'txn_id_reused', 'this txn_id was used for another message', null, 'Choose a new UUID for each message.',
           null, false, null
    where a.seen_before and a.same is not true
    union all
    select a.item, a.status, a.code, a.message, a.details, a.hint, a.retry_after_ms, false, null
    where not a.seen_before and a.status <> 200
    union all
    select a.item, 400, 'invalid_request', 'txn_id is null', null, 'Send a new UUID for each message, the same for its retries.',
           null, false, null
    where not a.seen_before and a.status = 200 and txn_ids[a.item] is null
    union all
    -- Admissible only since the batch was sealed, say because a mute has just ended.
    select a.item, 503, 'txn_in_progress', 'what may be sent changed while this was decided', null,
           'Retry with the same txn_id.', 200, false, null
    where not a.seen_before and a.status = 200 and txn_ids[a.item] is not null
  ) v;
end $$;

-- The steps of admit(), in no particular order of items. An error undoes them as a whole.
create function sealcast.admit_batch(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[])
  returns setof sealcast.verdict
  language plpgsql rows 100 security definer set search_path = pg_catalog, pg_temp as $$
declare
  items constant integer := coalesce(cardinality(stream_ids), 0);
  message_ids bigint[];
  answered integer[] := '{}';
  sealed integer;
  v sealcast.verdict;
  hooked record;
begin
  if items > 0 and format('[1:%s]', items) = all (array[array_dims(stream_ids), array_dims(types), array_dims(sender_ids),
                                                        array_dims(txn_ids), array_dims(payloads)]) is not true then
    raise exception 'the arrays of a batch differ in length, or do not count from 1'
      using errcode = 'array_subscript_error', hint = 'Pass five arrays with an entry for each message.';
  end if;
  perform pg_current_xact_id();  -- Before the ids: see relay_log.
  message_ids := array(select nextval('sealcast.message_ids') from generate_series(1, items));

  return query select * from sealcast.seal_batch(stream_ids, types, sender_ids, txn_ids, payloads, message_ids);
  get diagnostics sealed = row_count;
  if sealed > 0 then
    perform sealcast.wake();
  end if;
  if sealed = items then
    return;
  end if;

  if exists (select from sealcast.message_types y where y.admit_hook is not null and y.t = any (types)) then
    for hooked in
      select * from sealcast.judge(stream_ids, types, sender_ids, payloads) j
      where j.status = 200 and j.hook is not null and txn_ids[j.item] is not null
      order by sender_ids[j.item], txn_ids[j.item]
    loop
      v := sealcast.admit_hooked(hooked.item, hooked.hook, stream_ids[hooked.item], types[hooked.item],
        sender_ids[hooked.item], txn_ids[hooked.item], hooked.canonical, hooked.sent_hash, message_ids[hooked.item]);
      if v.item is not null then
        answered := answered || hooked.item;
        return next v;
        if v.status = 200 then
          perform sealcast.wake();
        end if;
      end if;
    end loop;
  end if;

  return query select * from sealcast.answer_unsealed(stream_ids, types, sender_ids, txn_ids, payloads, message_ids, answered);
end $$;

create function sealcast.admit(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[])
  returns setof sealcast.verdict
  language plpgsql rows 100 security definer set search_path = pg_catalog, pg_temp
  -- How long a batch waits for somebody's open transaction on one of its keys.
  set lock_timeout = '100ms' as $$
begin
  -- RETURN QUERY keeps what it has when its block is undone: admit_batch() hands over all its verdicts or none.
  return query
  select * from sealcast.admit_batch(stream_ids, types, sender_ids, txn_ids, payloads) v order by v.item;
exception
  when lock_not_available or deadlock_detected then
    -- Undone as a whole. The caller sends each item alone, on another connection: one held key stalls nobody else.
    return query
    select i, 503, 'txn_in_progress', 'another transaction holds this txn_id and has not ended', null::text,
           'Retry with the same txn_id.', 200::bigint, false, null::text
    from generate_series(1, cardinality(stream_ids)) i;
  when check_violation then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = 'no partition takes messages of today',
      hint = 'Run: select sealcast.maintain(). The sidecar does so every hour; without one, schedule it daily.';
end $$;
comment on function sealcast.admit(uuid[], text[], uuid[], uuid[], text[]) is
  'Authorises, seals and inserts a batch; one verdict an item. An item''s failure is its verdict, never an error';

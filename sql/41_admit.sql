-- admit(): the only place that authorises, seals and inserts messages (extension/admission/admit.cpp), and the parts of
-- it that are SQL.

-- Calls the admit hook of a message type. The hook runs as the extension's owner, so only a superuser may set it
-- (90_privileges.sql). A hook that fails makes only its own item fail. Errors that concern the whole transaction are
-- raised again.
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
    raise exception 'the hook returned an invalid refusal %; it needs a status of 400 to 599, a code of a-z and _, and a message', refusal;
  end if;
  return refusal;
exception
  when transaction_rollback or lock_not_available then
    raise;
  when others then
    raise log 'sealcast: admit hook % of type % failed for txn_id %: % (%)', hook, t, txn_id, sqlerrm, sqlstate;
    return (500, 'admit_hook_failed', format('the admit hook of message type %s failed', t),
            'Retry with the same txn_id. The reason is in the log of the database.')::sealcast.refusal;
end $$;

-- Admits one item whose type has an admit hook: inserts the key, calls the hook, seals and inserts the message. When the
-- hook refuses, all of it is undone.
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
  insert into sealcast.outbox (xid, first_id, messages, ts, stream_id, shard, segment)
    values (pg_current_xact_id(), message_id, 1, now_ms, stream_id, sealcast.shard_of(stream_id),
            (select last_value from sealcast.outbox_segment));
  return (item, 200, null, null, null, null, null, false,
          sealcast.envelope_text(kid, t, stream_id, sender_id, now_ms, txn_id, canonical, sig))::sealcast.verdict;
exception when sqlstate 'SCREF' then
  return (item, refusal.status, refusal.code, refusal.message, null, refusal.hint, null, false, null)::sealcast.verdict;
end $$;

-- Returns the committed messages of the given keys. A message is null when retention has dropped it.
create function sealcast.originals(sender_ids uuid[], txn_ids uuid[], out item integer, out sent_hash bytea, out t text,
                                   out stream_id uuid, out envelope text)
  returns setof record
  language plpgsql stable rows 10 set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select asked.n::integer, k.sent_hash, m.t, m.stream_id, sealcast.envelope(m)
  from unnest(sender_ids, txn_ids) with ordinality asked (sender_id, txn_id, n)
  join sealcast.txn_keys k on k.sender_id = asked.sender_id and k.txn_id = asked.txn_id
  left join sealcast.messages m on m.ts = k.ts and m.message_id = k.message_id;
end $$;

create function sealcast.admit(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[])
  returns setof sealcast.verdict
  language c rows 100 security definer set search_path = pg_catalog, pg_temp
  as 'MODULE_PATHNAME', 'sealcast_admit';
comment on function sealcast.admit(uuid[], text[], uuid[], uuid[], text[]) is
  'Authorises, seals and inserts a batch. Returns one verdict per item, in order. A failed item has a verdict and raises no error';

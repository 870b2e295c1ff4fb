-- admit(): the only place that authorises, seals and inserts messages (extension/admission/admit.cpp), and the parts of
-- it that are SQL.

-- Returns the committed messages of the given keys. A message is null when retention has dropped it. held: the outcome of
-- a held message that is not sealed, or `waiting`; null: it was never held, or is sealed.
create function sealcast_internal.originals(sender_ids uuid[], txn_ids uuid[], out item integer, out sent_hash bytea, out t text,
                                   out stream_id uuid, out envelope text, out held text, out reason text)
  returns setof record
  language plpgsql stable rows 10 set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select asked.n::integer, k.sent_hash, coalesce(m.t, h.t), coalesce(m.stream_id, h.stream_id), sealcast.envelope(m),
         case when h.held_id is not null
              then coalesce(h.outcome, case when h.expires_at <= clock_timestamp() then 'expired' else 'waiting' end) end, h.reason
  from unnest(sender_ids, txn_ids) with ordinality asked (sender_id, txn_id, n)
  join sealcast.txn_keys k on k.sender_id = asked.sender_id and k.txn_id = asked.txn_id
  left join sealcast.messages m on m.ts = k.ts and m.message_id = k.message_id
  left join sealcast.held_messages h on m.ts is null and h.sender_id = k.sender_id and h.txn_id = k.txn_id
                                        and h.outcome is distinct from 'approved';
end $$;

create function sealcast.admit(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[])
  returns setof sealcast.verdict
  language c rows 100 security definer set search_path = pg_catalog, pg_temp
  as 'MODULE_PATHNAME', 'sealcast_admit';
comment on function sealcast.admit(uuid[], text[], uuid[], uuid[], text[]) is
  'Authorises, seals and inserts a batch. Returns one verdict per item, in order. A failed item has a verdict and raises no error';

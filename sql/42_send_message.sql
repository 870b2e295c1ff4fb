-- send_message(): the same path from SQL and PostgREST, one message at a time.

create function sealcast.gate(sender_id uuid, stream_id uuid, t text, txn_id uuid,
                              out outcome text, out retry_after_ms bigint) returns record
  language c volatile as 'MODULE_PATHNAME', 'sealcast_gate';
comment on function sealcast.gate(uuid, uuid, text, uuid) is
  'Asks the sidecar''s gate over sealcast.gate_socket: pass, seen, limited, unavailable, or off';

create function sealcast.wake() returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_wake';
comment on function sealcast.wake() is
  'NOTIFY sealcast after this transaction commits, coalesced over all backends when the library is preloaded';

create function sealcast.send_message(stream_id uuid, t text, d json, txn_id uuid) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sender constant uuid := sealcast.current_sender();
  missing constant text := case when stream_id is null then 'stream_id' when t is null then 't'
                                when d is null then 'd' when txn_id is null then 'txn_id' end;
  gate record;
  v sealcast.verdict;
begin
  if missing is not null then
    perform sealcast.refuse(400, 'invalid_request', missing || ' is null', null, 'Send stream_id, t, d and txn_id.');
  end if;
  if t !~ '^[a-z][a-z0-9_.-]{0,63}$' then
    perform sealcast.refuse(422, 'unknown_type', format('there is no message type %L', left(t, 64)), null,
                            'Use a type of sealcast.message_types.');
  end if;
  gate := sealcast.gate(sender, stream_id, t, txn_id);
  if gate.outcome = 'limited' then
    perform sealcast.refuse(429, 'rate_limited', format('you send messages of type %s too fast', t), null,
                            'Wait, then retry with the same txn_id.', gate.retry_after_ms);
  elsif gate.outcome = 'unavailable' then
    perform sealcast.refuse(503, 'gate_unavailable', 'the gate cannot be asked, so nothing is let through', null,
                            'Retry with the same txn_id.', coalesce(gate.retry_after_ms, 1000));
  end if;

  v := sealcast.admit(array[stream_id], array[t], array[sender], array[txn_id], array[d::text]);
  if v.status <> 200 then
    perform sealcast.refuse(v.status, v.code, v.message, v.details, v.hint, v.retry_after_ms);
  end if;
  return v.envelope::json;
end $$;
comment on function sealcast.send_message(uuid, text, json, uuid) is
  'Sends as sub of request.jwt.claims and returns the sealed envelope; a repeat of the same message returns the original. Refusals are SQLSTATE PTnnn, DETAIL beginning with the code, HINT with the milliseconds to wait';

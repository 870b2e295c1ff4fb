-- send_message(): sends one message from SQL or PostgREST, through the same gate and admission as the sidecar's
-- messages.

create function sealcast_internal.gate(sender_id uuid, stream_id uuid, t text, txn_id uuid,
                              out outcome text, out retry_after_ms bigint) returns record
  language c volatile as 'MODULE_PATHNAME', 'sealcast_gate';
comment on function sealcast_internal.gate(uuid, uuid, text, uuid) is
  'Asks the gate of the sidecar over sealcast.gate_socket. Returns pass, seen, limited, slowed, repeated, copied, unavailable or off; text if the gate needs the hash of the text';

create function sealcast_internal.wake() returns void
  language c volatile as 'MODULE_PATHNAME', 'sealcast_wake';
comment on function sealcast_internal.wake() is
  'Sends NOTIFY sealcast after this transaction commits. When the library is preloaded, the notifications of all backends are coalesced';

create function sealcast.send_message(stream_id uuid, t text, d json, txn_id uuid) returns json
  language c security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_send_message';
comment on function sealcast.send_message(uuid, text, json, uuid) is
  'Sends a message as the sub of request.jwt.claims and returns the sealed envelope; a repeat of the same message returns the original. A refusal has SQLSTATE PTnnn, a DETAIL that begins with the code, and a HINT with the milliseconds to wait; in a request of PostgREST it has SQLSTATE PGRST';

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
  language c security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_send_message';
comment on function sealcast.send_message(uuid, text, json, uuid) is
  'Sends as sub of request.jwt.claims and returns the sealed envelope; a repeat of the same message returns the original. Refusals are SQLSTATE PTnnn, DETAIL beginning with the code, HINT with the milliseconds to wait';

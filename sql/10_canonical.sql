-- Canonical JSON (RFC 8785), its hash, and the string that is signed: pure functions of their arguments.

create function sealcast.canonicalize(document json) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_canonicalize_json';
create function sealcast.canonicalize(document jsonb) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_canonicalize_jsonb';
comment on function sealcast.canonicalize(json) is
  'RFC 8785 canonical form. 22P02 with the byte offset for duplicate keys, lone surrogates, numbers beyond a double, nesting beyond 128';
comment on function sealcast.canonicalize(jsonb) is
  'RFC 8785 canonical form, from the binary document. 22P02 for numbers beyond a double, nesting beyond 128';

create function sealcast.payload_hash(document json) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_payload_hash_json';
create function sealcast.payload_hash(document jsonb) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_payload_hash_jsonb';
comment on function sealcast.payload_hash(json) is 'SHA-256 of the canonical form, 64 lower-case hex digits';
comment on function sealcast.payload_hash(jsonb) is 'SHA-256 of the canonical form, 64 lower-case hex digits';

create function sealcast.signing_string(t text, stream_id text, sender_id text, txn_id text, ts bigint,
                                        payload_hash text) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_signing_string';
comment on function sealcast.signing_string(text, text, text, text, bigint, text) is
  'v=1|t=…|stream_id=…|sender_id=…|txn_id=…|ts=…|payload_hash=…; ts in Unix milliseconds. 22023 for a field that is empty or holds |, = or a control character';

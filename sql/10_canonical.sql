-- Canonical JSON (RFC 8785), its hash, and the signing string. All functions here are pure: the result depends on the
-- arguments alone.

create function sealcast.canonicalize(document json) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_canonicalize_json';
create function sealcast.canonicalize(document jsonb) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_canonicalize_jsonb';
comment on function sealcast.canonicalize(json) is
  'Returns the canonical form of RFC 8785. Error 22P02, with the byte offset, for duplicate keys, lone surrogates, numbers beyond a double, and nesting beyond 128';
comment on function sealcast.canonicalize(jsonb) is
  'Returns the canonical form of RFC 8785, read from the binary document. Error 22P02 for numbers beyond a double, and nesting beyond 128';

create function sealcast.payload_hash(document json) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_payload_hash_json';
create function sealcast.payload_hash(document jsonb) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_payload_hash_jsonb';
comment on function sealcast.payload_hash(json) is 'Returns the SHA-256 of the canonical form as 64 lower-case hex digits';
comment on function sealcast.payload_hash(jsonb) is 'Returns the SHA-256 of the canonical form as 64 lower-case hex digits';

create function sealcast.signing_string(t text, stream_id text, sender_id text, txn_id text, ts bigint,
                                        payload_hash text) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_signing_string';
comment on function sealcast.signing_string(text, text, text, text, bigint, text) is
  'Returns v=1|t=…|stream_id=…|sender_id=…|txn_id=…|ts=…|payload_hash=…; ts is in Unix milliseconds. Error 22023 for a field that is empty or holds |, = or a control character';

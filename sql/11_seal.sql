-- Keys, signatures and envelopes. Invariant: a secret is only in the keyring directory and in the memory of the server.

create function sealcast.keys(out kid text, out signing boolean, out fingerprint text, out algorithm text,
                              out public_key bytea) returns setof record
  language c stable as 'MODULE_PATHNAME', 'sealcast_keys';
comment on function sealcast.keys() is
  'Lists the loaded keys. fingerprint: the first 16 hex digits of the SHA-256 of the secret, or of the public key of an Ed25519 key';

-- Every role that may verify may read the public keys. keys() shows the other keys too, so this function runs with the
-- rights of its owner.
create function sealcast.public_keys() returns json
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return (
    select sealcast.canonicalize(json_build_object('keys', coalesce(json_agg(json_build_object(
      'kty', 'OKP', 'crv', 'Ed25519', 'kid', kid,
      'x', translate(rtrim(encode(public_key, 'base64'), '='), '+/', '-_'))), '[]')))::json
    from sealcast.keys() where public_key is not null);
comment on function sealcast.public_keys() is
  'Returns the public keys of all loaded Ed25519 keys as a JSON Web Key Set (RFC 7517, RFC 8037)';

create function sealcast_internal.signing_kid() returns text
  language c stable as 'MODULE_PATHNAME', 'sealcast_signing_kid';
comment on function sealcast_internal.signing_kid() is
  'Returns the id of the key that signs (setting sealcast.signing_kid). Error 55000 when the setting is empty, or names a key that is not in the keyring';

create function sealcast.sign(signing_string text, kid text default null) returns text
  language c stable as 'MODULE_PATHNAME', 'sealcast_sign';
comment on function sealcast.sign(text, text) is
  'Signs with the algorithm of the key: HMAC-SHA-256 (RFC 2104) gives 64 lower-case hex digits, Ed25519 (RFC 8032) gives 128. kid null: the key of sealcast.signing_kid. Error 42704 for an unknown kid';

create function sealcast.seal(t text, stream_id text, sender_id text, txn_id text, ts bigint, d json) returns json
  language c stable strict as 'MODULE_PATHNAME', 'sealcast_seal';
comment on function sealcast.seal(text, text, text, text, bigint, json) is
  'Returns a whole signed envelope around d; ts is in Unix milliseconds. Error 22P02 for a d that has no exact canonical form';

create function sealcast.verify(envelope json, max_age interval default null) returns boolean
  language c stable as 'MODULE_PATHNAME', 'sealcast_verify_json';
create function sealcast.verify(envelope jsonb, max_age interval default null) returns boolean
  language c stable as 'MODULE_PATHNAME', 'sealcast_verify_jsonb';
create function sealcast.verify_detail(envelope json, max_age interval default null) returns text
  language c stable as 'MODULE_PATHNAME', 'sealcast_verify_detail_json';
create function sealcast.verify_detail(envelope jsonb, max_age interval default null) returns text
  language c stable as 'MODULE_PATHNAME', 'sealcast_verify_detail_jsonb';
comment on function sealcast.verify(json, interval) is
  'Returns whether the envelope is well-formed, signed by a known key and not older than max_age, and has its content: false for a redacted one. For any other JSON it returns false and never raises an error';
comment on function sealcast.verify_detail(json, interval) is
  'Returns ok, malformed, unknown_kid, bad_signature, expired, from_future, or redacted: the signature is genuine, and the content is erased';

create function sealcast.envelope_text(kid text, t text, stream_id uuid, sender_id uuid, ts bigint, txn_id uuid,
                                       canonical text, sig bytea) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_envelope_text';

-- Returns the envelope of a message whose content is erased; payload_hash is the SHA-256 of the content.
create function sealcast_internal.redacted_envelope_text(kid text, t text, stream_id uuid, sender_id uuid, ts bigint, txn_id uuid,
                                                         payload_hash bytea, sig bytea) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_redacted_envelope_text';
-- Returns the member `redacted` of a frame: {"by":…,"at":…,"reason":…}. Null: the message is not redacted (redacted_at null).
create function sealcast_internal.redaction_text(redacted_by uuid, redacted_at bigint, reason text) returns text
  language c immutable parallel safe as 'MODULE_PATHNAME', 'sealcast_redaction_text';

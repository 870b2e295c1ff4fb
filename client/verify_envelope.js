// Verifies an envelope with a public key, as ../docs/envelope.md describes it. The time `ts` is not compared with the clock.
// A redacted envelope has the hash of its content instead of the content; the signature covers this hash.
import { canonicalize } from './canonical.js';
import { hexOf, sha256, subtleCrypto } from './hash.js';

const MEMBERS = 'd,kid,s,sig,stream_id,t,ts,txn_id,v';
const REDACTED_MEMBERS = 'd,kid,payload_hash,s,sig,stream_id,t,ts,txn_id,v';
const SIGNED = ['t', 'stream_id', 's', 'txn_id'];
const MAX_TS = 253_402_300_799_999; // the end of the year 9999
const ED25519_DIGITS = 128;

// Returns ok, redacted, malformed, unknown_kid or bad_signature. `envelope` is an object, or JSON text. keys.find(kid)
// resolves with a CryptoKey.
export async function verifyEnvelope(envelope, keys) {
  let payload;
  try {
    if (typeof envelope === 'string') envelope = JSON.parse(envelope);
    if (!isEnvelope(envelope)) return 'malformed';
    payload = hasHash(envelope) ? null : canonicalize(envelope.d);
  } catch {
    return 'malformed';
  }
  const key = await keys.find(envelope.kid);
  if (!key) return 'unknown_kid';
  // Public keys are Ed25519 keys. A signature of another length was made by another algorithm.
  if (envelope.sig.length !== ED25519_DIGITS) return 'bad_signature';
  const { t, stream_id: stream, s, txn_id: txn, ts } = envelope;
  const hash = payload === null ? envelope.payload_hash : await payloadHash(payload);
  const text = `v=1|t=${t}|stream_id=${stream}|sender_id=${s}|txn_id=${txn}|ts=${ts}|payload_hash=${hash}`;
  const valid = await subtleCrypto().verify('Ed25519', key, bytesOf(envelope.sig), new TextEncoder().encode(text));
  if (!valid) return 'bad_signature';
  return payload === null ? 'redacted' : 'ok';
}

export async function payloadHash(canonicalPayload) {
  return hexOf(await sha256(canonicalPayload));
}

// Whether the message of a stream has no content any more. The content of any other message is an object.
export const isRedacted = ({ d }) => d === null;

export function isEnvelope(envelope) {
  if (typeof envelope !== 'object' || envelope === null) return false;
  if (Object.keys(envelope).sort().join() !== (hasHash(envelope) ? REDACTED_MEMBERS : MEMBERS)) return false;
  if (hasHash(envelope) && !(envelope.d === null && isHash(envelope.payload_hash))) return false;
  const { v, kid, ts, sig } = envelope;
  return (
    v === 1 &&
    SIGNED.every((name) => isSignable(envelope[name])) &&
    typeof kid === 'string' &&
    /^[A-Za-z0-9_-]{1,32}$/.test(kid) &&
    Number.isInteger(ts) &&
    ts >= 0 &&
    ts <= MAX_TS &&
    typeof sig === 'string' &&
    /^([0-9a-f]{64}){1,2}$/.test(sig)
  );
}

// Separators and control characters are refused, so that two different envelopes never have the same signing string.
function isSignable(text) {
  return typeof text === 'string' && /^[^|=\u0000-\u001f\u007f-\u009f\p{Surrogate}]+$/u.test(text);
}

const hasHash = (envelope) => Object.hasOwn(envelope, 'payload_hash');
const isHash = (text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);

const bytesOf = (hex) => Uint8Array.from(hex.match(/../g), (digits) => Number.parseInt(digits, 16));

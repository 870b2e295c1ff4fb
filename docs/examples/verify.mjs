// Verifies one envelope without Sealcast: node verify.mjs KEYRING_DIRECTORY < envelope.json
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify as verifySignature } from 'node:crypto';
import { readFileSync } from 'node:fs';

export function canonicalize(value) {
  if (typeof value === 'string' && !value.isWellFormed()) throw new Error('lone surrogate');
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error('number overflows a double');
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`;
  // sort() without a comparator orders by UTF-16 code units, as RFC 8785 requires.
  const members = Object.keys(value).sort().map((key) => `${canonicalize(key)}:${canonicalize(value[key])}`);
  return `{${members.join(',')}}`;
}

export function signingString(envelope) {
  const { t, stream_id, s, txn_id, ts, d } = envelope;
  const hash = createHash('sha256').update(canonicalize(d), 'utf8').digest('hex');
  return `v=1|t=${t}|stream_id=${stream_id}|sender_id=${s}|txn_id=${txn_id}|ts=${ts}|payload_hash=${hash}`;
}

// The key determines the algorithm; the signature does not. KID.ed25519 may contain the private or the public key.
function keyOf(kid, keyring) {
  const read = (name) => {
    try {
      return readFileSync(`${keyring}/${name}`);
    } catch {
      return null;
    }
  };
  const pem = read(`${kid}.ed25519`);
  if (pem) {
    const key = createPublicKey(pem);
    return (text, sig) => verifySignature(null, text, key, sig);
  }
  let secret = read(kid);
  if (secret?.at(-1) === 0x0a) secret = secret.subarray(0, -1);
  return secret && ((text, sig) => sig.length === 32 && timingSafeEqual(createHmac('sha256', secret).update(text).digest(), sig));
}

export function verify(envelope, keyring) {
  const names = 'd,kid,s,sig,stream_id,t,ts,txn_id,v';
  if (Object.keys(envelope).sort().join() !== names || envelope.v !== 1) return 'malformed';
  for (const name of ['t', 'stream_id', 's', 'txn_id', 'kid', 'sig']) {
    if (typeof envelope[name] !== 'string' || !/^[^|=\u0000-\u001f\u007f-\u009f]+$/.test(envelope[name])) return 'malformed';
  }
  if (!Number.isSafeInteger(envelope.ts) || envelope.ts < 0) return 'malformed';
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(envelope.kid) || !/^([0-9a-f]{64}){1,2}$/.test(envelope.sig)) return 'malformed';
  const key = keyOf(envelope.kid, keyring);
  if (!key) return 'unknown_kid';
  return key(Buffer.from(signingString(envelope)), Buffer.from(envelope.sig, 'hex')) ? 'ok' : 'bad_signature';
}

const result = verify(JSON.parse(readFileSync(0, 'utf8')), process.argv[2]);
console.log(result);
process.exitCode = result === 'ok' ? 0 : 1;

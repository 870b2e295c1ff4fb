// Verifies one envelope without Sealcast: node verify.mjs KEYRING_DIRECTORY < envelope.json
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify as verifySignature } from 'node:crypto';
import { readFileSync } from 'node:fs';

// Returns the decimal value of a number as its digits and the exponent of the last digit.
function decimal(literal) {
  const [, whole, fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal);
  const digits = (whole + fraction).replace(/^0+/, '');
  const kept = digits.replace(/0+$/, '');
  return kept && `${kept}e${BigInt(exponent) + BigInt(digits.length - kept.length - fraction.length)}`;
}

// JSON.parse() rounds numbers and keeps the last of two equal keys. An envelope with either is malformed.
function parse(text) {
  const value = JSON.parse(text);
  const open = []; // the keys of each open object; null for an array
  for (const [token, string, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|[[\]{}]/g)) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : null);
    else if (token === '}' || token === ']') open.pop();
    else if (!string && decimal(JSON.stringify(Number(token))) !== decimal(token)) {
      throw new Error('number is not exact');
    } else if (colon) {
      const [keys, key] = [open.at(-1), JSON.parse(string)];
      if (keys.has(key)) throw new Error('duplicate key');
      keys.add(key);
    }
  }
  return value;
}

// A payload may have 128 levels of arrays and objects.
export function canonicalize(value, levels = 128) {
  if (typeof value === 'string' && !value.isWellFormed()) throw new Error('lone surrogate');
  if (typeof value === 'string' && value.includes('\0')) throw new Error('U+0000 cannot be stored');
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (levels === 0) throw new Error('nesting is deeper than 128 levels');
  if (Array.isArray(value)) return `[${value.map((item) => canonicalize(item, levels - 1)).join(',')}]`;
  // sort() without a comparator orders by UTF-16 code units, as RFC 8785 requires.
  const member = (key) => `${canonicalize(key)}:${canonicalize(value[key], levels - 1)}`;
  return `{${Object.keys(value).sort().map(member).join(',')}}`;
}

// A redacted envelope has the hash of its content instead of the content.
export function signingString(envelope) {
  const { t, stream_id, s, txn_id, ts, d, payload_hash } = envelope;
  const hash = payload_hash ?? createHash('sha256').update(canonicalize(d), 'utf8').digest('hex');
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

function fieldsAreValid(envelope) {
  if (envelope === null || typeof envelope !== 'object' || Array.isArray(envelope)) return false;
  const { payload_hash: hash, ...others } = envelope;
  if (Object.keys(others).sort().join() !== 'd,kid,s,sig,stream_id,t,ts,txn_id,v' || envelope.v !== 1) return false;
  const isRedacted = envelope.d === null && typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash);
  if ('payload_hash' in envelope && !isRedacted) return false;
  for (const name of ['t', 'stream_id', 's', 'txn_id', 'kid', 'sig']) {
    if (typeof envelope[name] !== 'string' || !/^[^|=\u0000-\u001f\u007f-\u009f]+$/.test(envelope[name])) return false;
  }
  if (!Number.isInteger(envelope.ts) || envelope.ts < 0 || envelope.ts > 253402300799999) return false;
  return /^[A-Za-z0-9_-]{1,32}$/.test(envelope.kid) && /^([0-9a-f]{64}){1,2}$/.test(envelope.sig);
}

export function verify(bytes, keyring) {
  let envelope, signed;
  try {
    envelope = parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    if (!fieldsAreValid(envelope)) return 'malformed';
    signed = Buffer.from(signingString(envelope));
  } catch {
    return 'malformed';
  }
  const key = keyOf(envelope.kid, keyring);
  if (!key) return 'unknown_kid';
  if (!key(signed, Buffer.from(envelope.sig, 'hex'))) return 'bad_signature';
  return 'payload_hash' in envelope ? 'redacted' : 'ok';
}

const result = verify(readFileSync(0), process.argv[2]);
console.log(result);
process.exitCode = result === 'ok' ? 0 : 1;

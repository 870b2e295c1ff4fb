// A second implementation of canonical JSON, signing string and signature, in another language than the code under test.
import assert from 'node:assert/strict';
import { createHash, createHmac, sign } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const members = ['v', 'kid', 't', 'stream_id', 's', 'ts', 'txn_id', 'd', 'sig'];

// RFC 8785 takes the form of numbers and strings from ECMAScript, and so does JSON.stringify(). sort() orders keys by UTF-16 code
// units, as the RFC demands.
export function canonicalize(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalize(value[key])}`).join(',')}}`;
}

export const payloadHash = (d) => createHash('sha256').update(canonicalize(d)).digest('hex');

// A redacted envelope has the hash in the place of d.
export function signingString({ t, stream_id, s, txn_id, ts, d, payload_hash = payloadHash(d) }) {
  return `v=1|t=${t}|stream_id=${stream_id}|sender_id=${s}|txn_id=${txn_id}|ts=${ts}|payload_hash=${payload_hash}`;
}

// Ed25519 signatures are deterministic, so they can be compared as HMACs can.
export function signature(envelope, keyring) {
  const pair = join(keyring, `${envelope.kid}.ed25519`);
  if (existsSync(pair)) return sign(null, Buffer.from(signingString(envelope)), readFileSync(pair)).toString('hex');
  const secret = readFileSync(join(keyring, envelope.kid), 'utf8').replace(/\n$/, '');
  return createHmac('sha256', secret).update(signingString(envelope)).digest('hex');
}

// Checks every byte of an envelope's text, and its signature. Returns the parsed envelope.
export function checkEnvelope(text, keyring) {
  const envelope = JSON.parse(text);
  assert.deepEqual(Object.keys(envelope), members);
  const { v, kid, t, stream_id, s, ts, txn_id, d, sig } = envelope;
  assert.equal(
    text,
    `{"v":${v},"kid":"${kid}","t":"${t}","stream_id":"${stream_id}","s":"${s}","ts":${ts},"txn_id":"${txn_id}",` +
      `"d":${canonicalize(d)},"sig":"${sig}"}`,
  );
  assert.equal(v, 1);
  assert.equal(sig, signature(envelope, keyring));
  return envelope;
}

// Checks the text of a redacted envelope, and its signature.
export function checkRedacted(text, keyring) {
  const envelope = JSON.parse(text);
  assert.deepEqual(Object.keys(envelope), members.flatMap((member) => (member === 'd' ? ['d', 'payload_hash'] : [member])));
  assert.equal(text, JSON.stringify(envelope));
  assert.equal(envelope.d, null);
  assert.match(envelope.payload_hash, /^[0-9a-f]{64}$/);
  assert.equal(envelope.sig, signature(envelope, keyring));
  return envelope;
}

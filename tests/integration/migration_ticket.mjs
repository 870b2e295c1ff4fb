// Makes migration tickets as the sidecar does for transport_migrate, by RFC 5869, 7515 and 7519.
import { createHmac, hkdfSync } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
export const nowSeconds = () => Math.floor(Date.now() / 1000);

// Whether that second has begun in every process: time() may be one clock tick behind.
export const isPast = (seconds) => Date.now() > seconds * 1000 + 50;

export function signJwt(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

// `secret` is that of session.ticket_secret_file. `claims` replace or extend the usual ones.
export function migrationTicket(secret, streamId, target, claims = {}) {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'sealcast migration ticket v1', 32));
  return signJwt({ aud: 'sealcast:migrate', stream_id: streamId, target, exp: nowSeconds() + 60, ...claims }, key);
}

// Makes JWTs (RFC 7515 and 7519) that are signed with HS256.
import { createHmac } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
export const nowSeconds = () => Math.floor(Date.now() / 1000);

// Whether that second has begun in every process: time() may be one clock tick behind.
export const isPast = (seconds) => Date.now() > seconds * 1000 + 50;

export function signJwt(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

// A user with sessions. The JSON Web Tokens are made here by RFC 7515 and 7519, not by the code under test.
import { createHmac, randomUUID } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class User {
  #secret;

  constructor(secret, id = randomUUID()) {
    this.#secret = secret;
    this.id = id;
  }

  get claims() {
    return { sub: this.id, exp: Math.floor(Date.now() / 1000) + 3600 };
  }

  // `claims` replace or extend the usual ones; undefined removes one.
  token(claims = {}, { header = { alg: 'HS256', typ: 'JWT' }, secret = this.#secret } = {}) {
    const signed = `${encode(header)}.${encode({ ...this.claims, ...claims })}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }

  // The headers of a request by this user.
  get headers() {
    return { authorization: `Bearer ${this.token()}` };
  }
}

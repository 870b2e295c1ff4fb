// Finds unmistakable secrets (canaries) in text or bytes, in every form: plain, decoded, or encoded in hex or base64.

const MIN_LENGTH = 16; // bytes; a shorter secret may occur by chance

// The base64 form of a secret depends on its position modulo 3. Returns for each of the three positions the characters that depend
// on the secret alone.
function inBase64(bytes, encoding) {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding);
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
}

function formsOf(secret) {
  const raw = [Buffer.from(secret)];
  if (/^(?:[0-9a-f]{2})+$/i.test(secret)) raw.push(Buffer.from(secret, 'hex'));
  if (/^[\w+/-]+=*$/.test(secret)) raw.push(Buffer.from(secret, 'base64'));
  const encoded = (bytes) => [bytes.toString('hex'), bytes.toString('hex').toUpperCase(), ...inBase64(bytes, 'base64'), ...inBase64(bytes, 'base64url')];
  return raw.filter((bytes) => bytes.length >= MIN_LENGTH).flatMap((bytes) => [bytes, ...encoded(bytes).map((text) => Buffer.from(text))]);
}

export class Canaries {
  #secrets = new Map(); // name → {secret, forms}

  get size() {
    return this.#secrets.size;
  }

  // `secret` is text or bytes.
  set(name, secret) {
    const forms = formsOf(secret);
    if (forms.length === 0) throw new Error(`${name} is too short; it could occur by chance`);
    this.#secrets.set(name, { secret, forms });
  }

  get(name) {
    return this.#secrets.get(name).secret;
  }

  // The names of the secrets that the text or bytes contain in any form.
  in(content) {
    const bytes = Buffer.from(content);
    return [...this.#secrets].filter(([, { forms }]) => forms.some((form) => bytes.includes(form))).map(([name]) => name);
  }
}

// Secrets that cannot be mistaken, and every form in which one might turn up: as it is, encoded, decoded.

const LEAST = 16; // bytes: what is shorter may be there by chance

// In base64 the bytes before a secret decide how it looks: of each place in three, the characters that are its alone.
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
  return raw.filter((bytes) => bytes.length >= LEAST).flatMap((bytes) => [bytes, ...encoded(bytes).map((text) => Buffer.from(text))]);
}

export class Canaries {
  #secrets = new Map(); // what it is → {secret, forms}

  get size() {
    return this.#secrets.size;
  }

  // `secret`: text, or bytes.
  set(what, secret) {
    const forms = formsOf(secret);
    if (forms.length === 0) throw new Error(`${what} is too short to be told from what is there by chance`);
    this.#secrets.set(what, { secret, forms });
  }

  get(what) {
    return this.#secrets.get(what).secret;
  }

  // What of them is in the text or the bytes, in whatever form.
  in(where) {
    const bytes = Buffer.from(where);
    return [...this.#secrets].filter(([, { forms }]) => forms.some((form) => bytes.includes(form))).map(([what]) => what);
  }
}

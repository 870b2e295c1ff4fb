// Writes a value from JSON.parse() as canonical JSON (RFC 8785): ../docs/envelope.md#canonical-json.
const MAX_DEPTH = 128; // nested arrays and objects; the server has the same limit

// Throws TypeError for a value without a canonical form.
export function canonicalize(value, depth = 0) {
  if (typeof value === 'string') return canonicalString(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`the number ${value} is not finite`);
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value !== 'object') throw new TypeError(`JSON has no values of type ${typeof value}`);
  if (depth === MAX_DEPTH) throw new TypeError(`arrays and objects are nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalize(item, depth + 1)).join()}]`;
  // RFC 8785 orders keys by UTF-16 code units, and so does sort().
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${canonicalString(key)}:${canonicalize(value[key], depth + 1)}`).join()}}`;
}

function canonicalString(text) {
  if (/\p{Surrogate}/u.test(text)) throw new TypeError('a string contains a lone surrogate');
  return JSON.stringify(text);
}

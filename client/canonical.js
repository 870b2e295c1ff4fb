// Canonical JSON (RFC 8785) of what JSON.parse() gives: ../docs/envelope.md#canonical-json.
const MAX_DEPTH = 128; // arrays and objects inside one another, as the server takes them

// Throws TypeError for what has no canonical form.
export function canonicalize(value, depth = 0) {
  if (typeof value === 'string') return canonicalString(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('a number beyond a double');
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} is not JSON`);
  if (depth === MAX_DEPTH) throw new TypeError(`more than ${MAX_DEPTH} arrays and objects inside one another`);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalize(item, depth + 1)).join()}]`;
  // sort() orders by UTF-16 code units, as the RFC does.
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${canonicalString(key)}:${canonicalize(value[key], depth + 1)}`).join()}}`;
}

function canonicalString(text) {
  if (/\p{Surrogate}/u.test(text)) throw new TypeError('a lone surrogate');
  return JSON.stringify(text);
}

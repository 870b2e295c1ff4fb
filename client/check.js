// Checks arguments and options when they are given. A TypeError names the argument and says what it must be.

export const rule = (expected, accepts) => ({ expected, accepts });
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

export const TEXT = rule('a text that is not empty', (value) => typeof value === 'string' && value !== '');
export const FLAG = rule('true or false', (value) => typeof value === 'boolean');
export const FUNCTION = rule('a function', (value) => typeof value === 'function');
export const OBJECT = rule('an object', isObject);
export const MS = rule('a number of milliseconds, 0 or more', (value) => typeof value === 'number' && value >= 0);
export const CLIENT = rule('an SDK client, or a function that makes one', (value) => isObject(value) || FUNCTION.accepts(value));

export const oneOf = (...values) =>
  rule(values.map((value) => JSON.stringify(value)).join(' or '), (value) => values.includes(value));
export const orNull = ({ expected, accepts }) => rule(`${expected}, or null`, (value) => value === null || accepts(value));
export const listOf = ({ expected, accepts }) =>
  rule(`a list, and each item ${expected}`, (value) => Array.isArray(value) && value.every(accepts));
export const either = (one, other) =>
  rule(`${one.expected}, or ${other.expected}`, (value) => one.accepts(value) || other.accepts(value));

// `where` is the function that got the argument.
export function checkArgument(where, name, value, { expected, accepts }) {
  if (!accepts(value)) throw new TypeError(`${where}: ${name} must be ${expected}, not ${describe(value)}`);
}

// Checks the options of a function against {name: rule}. A rule may be another {name: rule}, for an object of options.
// Returns the options without undefined members, so that these do not replace defaults.
export function checkOptions(where, options, rules) {
  if (!isObject(options)) throw new TypeError(`${where}: the options must be an object, not ${describe(options)}`);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const checked = given.map(([name, value]) => {
    if (!Object.hasOwn(rules, name)) {
      throw new TypeError(`${where}: unknown option "${name}"; the options are ${Object.keys(rules).join(', ')}`);
    }
    const own = rules[name];
    if (!own.accepts) return [name, checkOptions(`${where}: ${name}`, value, own)];
    checkArgument(where, name, value, own);
    return [name, value];
  });
  return Object.fromEntries(checked);
}

// Checks the options of a driver that reads through the caller's SDK client.
export function checkDriver(where, options, rules) {
  const checked = checkOptions(where, options, rules);
  checkArgument(where, 'client', checked.client, CLIENT);
  return checked;
}

// The pauses of backoff.js.
export const BACKOFF = { baseMs: MS, capMs: MS, spreadMs: MS };

// An address may contain a password, so only short texts without @ are repeated.
function describe(value) {
  if (typeof value === 'string') return value.length <= 60 && !value.includes('@') ? JSON.stringify(value) : 'this text';
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  return isObject(value) ? 'an object' : String(value);
}

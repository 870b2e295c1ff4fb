// The checker of histories: it is silent about a good one, and names each promise that is broken in a bad one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { check } from './checker.mjs';
import { INSERTED_NOTHING } from './times.mjs';

const room = 'room';
const envelope = (n, sig = 'right') => `{"txn_id":"t${n}","d":{"content":"c${n}"},"sig":"${sig}"}`;
const row = (n) => ({ sender: 'ann', txnId: `t${n}`, streamId: room, text: envelope(n) });
const attempt = (n, answer = {}) =>
  ({ sender: 'ann', txnId: `t${n}`, streamId: room, content: `c${n}`, status: 200, text: envelope(n), url: 'a', began: 20_000, ended: 20_010, ...answer });
const frame = (n) => ({ offset: n, prev: n - 1, text: envelope(n) });
const lost = { status: 0, code: 'ECONNRESET', text: undefined };

// Three messages, one of them in doubt at first, and one that was refused. All were sent at once, after a broker was killed.
const good = () => ({
  attempts: [attempt(1), attempt(2, lost), attempt(2, { replayed: true }), attempt(3, { url: 'b' }), attempt(3, { replayed: true }),
    attempt(4, { status: 403, code: 'user_muted', text: undefined })],
  run: { seconds: 0.6, scheduled: 1, urls: ['a', 'b'] },
  faults: [{ fault: 'kill', on: 'mosquitto', struck: 10_000, mended: 12_000 }],
  stored: [row(1), row(2), row(3)],
  logged: [1, 2, 3].map((n) => ({ streamId: room, offset: n, sender: 'ann', txnId: `t${n}` })),
  deliveries: { sse: { [room]: [frame(1), frame(2), frame(1), frame(2), frame(3)] }, mqtt: { [room]: [frame(1), frame(2), frame(3)] } },
  repaired: [],
});
const verifies = (text) => text.includes('"sig":"right"');
const promisesBroken = (history) => [...new Set(check(history, verifies).map(({ promise }) => promise))];

test('a history that keeps every promise', () => {
  assert.deepEqual(check(good(), verifies), []);
});

const bad = {
  '200 means committed': (h) => {
    h.stored.pop();
    h.logged.pop();
    for (const streams of Object.values(h.deliveries)) streams[room].pop();
  },
  'a message is stored once': (h) => h.stored.push(row(2)),
  'a 200 is stored under the same signature': (h) => (h.attempts[0].text = envelope(1, 'another')),
  'what is stored is sealed': (h) => {
    const forged = envelope(1, 'forged');
    h.stored[0].text = h.attempts[0].text = forged;
    for (const streams of Object.values(h.deliveries)) for (const f of streams[room]) if (f.offset === 1) f.text = forged;
  },
  'what is sealed is what was sent': (h) => (h.attempts[0].content = 'something else'),
  'one insert for a txn_id': (h) => (h.attempts[4].replayed = false),
  'nothing that is refused is stored': (h) => Object.assign(h.attempts[4], { status: 403, code: 'user_muted' }),
  'only what is answered 200 is stored': (h) => h.attempts.splice(2, 1),
  'only what was sent is stored': (h) => h.attempts.splice(0, 1),
  'what is sent after an answer comes after it': (h) => (h.attempts[0].began = h.attempts[3].ended + 1),
  'a repeat has an original': (h) => Object.assign(h.attempts[1], { status: 429, code: 'rate_limited' }),
  'in doubt is resolved by a retry': (h) => h.attempts.push(attempt(9, lost), attempt(9, { status: 503, code: 'overloaded' })),
  'every committed message is relayed': (h) => {
    h.logged.pop();
    for (const streams of Object.values(h.deliveries)) streams[room].pop();
  },
  'offsets count from 1 without gaps': (h) => (h.logged[2].offset = 4),
  'a message has one offset': (h) => h.logged.push({ ...h.logged[0], offset: 4 }),
  'only what is stored has an offset': (h) => h.logged.push({ streamId: room, offset: 4, sender: 'eve', txnId: 't4' }),
  'only what is stored is delivered': (h) => (h.deliveries.sse.elsewhere = [frame(1)]),
  'what is delivered is what is stored': (h) => (h.deliveries.mqtt[room][1].text = envelope(2, 'forged')),
  'prev is the offset of the frame before': (h) => (h.deliveries.mqtt[room][1].prev = 0),
};
for (const [promise, breakIt] of Object.entries(bad)) {
  test(`broken: ${promise}`, () => {
    const history = good();
    breakIt(history);
    assert.ok(promisesBroken(history).includes(promise), `${promisesBroken(history)}`);
  });
}

const proves = 'the run proves something';
for (const [what, breakIt] of Object.entries({
  'hardly anything is stored': (h) => (h.run.seconds = 60),
  'a fault never struck': (h) => (h.run.scheduled = 2),
  'a fault was never mended': (h) => delete h.faults[0].mended,
  'a sidecar accepts nothing after the last fault': (h) => (h.attempts[3].began = 11_000),
})) {
  test(`broken: ${proves}: ${what}`, () => {
    const history = good();
    breakIt(history);
    assert.deepEqual(promisesBroken(history), [proves]);
  });
}

test('broken: a run in which nothing happened', () => {
  const nothing = { attempts: [], faults: [], stored: [], logged: [], deliveries: {}, repaired: [] };
  assert.deepEqual(promisesBroken({ ...nothing, run: { seconds: 30, scheduled: 0, urls: [] } }), [proves]);
});

const delivered = 'each reader gets each message, in the order of offsets';
for (const [what, breakIt] of Object.entries({
  'one is lost': (frames) => frames.splice(1, 1),
  'the last is lost': (frames) => frames.pop(),
  'all are lost': (frames) => frames.splice(0),
  'two change places': (frames) => frames.reverse(),
})) {
  test(`broken: ${delivered}: ${what}`, () => {
    const history = good();
    breakIt(history.deliveries.mqtt[room]);
    assert.deepEqual(promisesBroken(history), [delivered]);
  });
}

test('a reader that has nothing of a stream', () => {
  const history = good();
  history.deliveries.ably = {};
  assert.deepEqual(promisesBroken(history), [delivered]);
});

test('a message that was refused by the rate, and sent again', () => {
  const history = good();
  history.attempts.unshift(attempt(1, { status: 429, code: 'rate_limited', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

test('other content under a txn_id that is taken is refused, and the first is stored', () => {
  const history = good();
  history.attempts.push(attempt(1, { content: 'other', status: 409, code: 'txn_id_reused', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

test('a message that may be stored or not while its outcome is not known, but is refused for good', () => {
  const history = good();
  history.attempts.push(attempt(5, lost), attempt(5, { status: 403, code: 'user_banned', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

// What is broken when the broker's reader has one frame from the history.
const repaired = (after, before, faults = good().faults) =>
  promisesBroken({ ...good(), repaired: [{ streamId: room, offset: 2, after, before }], faults });

test('a broker that is killed may lose what it had taken', () => {
  assert.deepEqual(repaired(9_900, 13_000), []);
  assert.deepEqual(repaired(12_100, 12_200), [], 'its reader had not subscribed again');
});

test('broken: a broker that lives gets everything', () => {
  const promise = ['a broker that lives gets everything'];
  assert.deepEqual(repaired(9_000, 9_900), promise);
  assert.deepEqual(repaired(20_000, 20_100), promise);
  assert.deepEqual(repaired(9_900, 13_000, [{ ...good().faults[0], fault: 'freeze' }]), promise);
  assert.deepEqual(repaired(9_900, 13_000, [{ ...good().faults[0], on: 'redis' }]), promise);
});

// What is broken when a message, answered as a repeat, was tried before as `tries` say.
function repeated(tries, { repeat = {}, faults = [] } = {}) {
  const history = good();
  history.attempts.splice(1, 2, ...tries.map((answer) => attempt(2, { text: undefined, ...answer })), attempt(2, { replayed: true, ...repeat }));
  history.faults.push(...faults);
  history.run.scheduled = history.faults.length;
  return promisesBroken(history);
}

test('a repeat of what is answered so is in doubt, and may be the original', () => {
  for (const answer of [lost, { status: 503, code: 'database_unavailable' }, { status: 503, code: 'txn_in_progress' }]) {
    assert.deepEqual(repeated([answer]), [], answer.code);
  }
});

test('broken: a repeat has an original: its request inserted nothing, or came later', () => {
  const promise = ['a repeat has an original'];
  for (const code of INSERTED_NOTHING) assert.deepEqual(repeated([{ status: 503, code }]), promise, code);
  assert.deepEqual(repeated([]), promise);
  assert.deepEqual(repeated([{ ...lost, began: 20_020 }]), promise);
  assert.deepEqual(repeated([{ replayed: true, text: envelope(2) }]), promise, 'another repeat is none');
});

test('a batch that was sent again because the connection to Postgres broke is answered as a repeat', () => {
  const faults = [{ fault: 'cut', on: 'postgres-a', struck: 19_990, mended: 19_999 }];
  assert.deepEqual(repeated([], { faults }), []);
  const longAgo = [{ ...faults[0], struck: 1_000, mended: 2_000 }];
  assert.deepEqual(repeated([], { faults: longAgo }), ['a repeat has an original']);
});

test('the codes with which nothing was inserted are those of docs/errors.md', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| (?:429|503) \| `(\w+)` \| (.*?) \|/gm)];
  const nothing = rows.filter(([, , when]) => when.endsWith('Nothing was inserted')).map(([, code]) => code);
  assert.deepEqual(new Set(nothing), INSERTED_NOTHING);
});

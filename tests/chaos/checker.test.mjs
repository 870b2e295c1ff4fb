// Tests the checker of histories: it reports nothing for a correct history, and each violation in an incorrect one.
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
const frame = (n, rest = {}) => ({ offset: n, prev: n - 1, text: envelope(n), arrived: 20_020, ...rest });
const effect = (n) => ({ sender: 'ann', txnId: `t${n}`, times: 1 });
const reset = { reset: true, offset: 0, epoch: 'E1' };
const lost = { status: 0, code: 'ECONNRESET', text: undefined };

// Three stored messages and a refused one. The second message has an attempt without an answer. All were sent at the
// same time, after a broker was killed.
const correct = () => ({
  attempts: [attempt(1), attempt(2, lost), attempt(2, { replayed: true }), attempt(3, { url: 'b' }), attempt(3, { replayed: true }),
    attempt(4, { status: 403, code: 'user_muted', text: undefined })],
  run: { seconds: 0.6, scheduled: 1, urls: ['a', 'b'], began: 0, ended: 0 },
  reads: [],
  calls: [],
  faults: [{ fault: 'kill', target: 'mosquitto', injected: 10_000, removed: 12_000 }],
  stored: [row(1), row(2), row(3)],
  logged: [1, 2, 3].map((n) => ({ streamId: room, offset: n, sender: 'ann', txnId: `t${n}` })),
  deliveries: { sse: { [room]: [frame(1), frame(2), frame(1), frame(2), frame(3)] }, mqtt: { [room]: [frame(1), frame(2), frame(3)] } },
  repaired: [],
  effects: [1, 2, 3].map(effect),
  losses: [],
  epoch: 'E1',
});
const verifies = (text) => text.includes('"sig":"right"');
const violated = (history) => [...new Set(check(history, verifies).map(({ guarantee }) => guarantee))];

test('a correct history has no violation', () => {
  assert.deepEqual(check(correct(), verifies), []);
});

const violations = {
  '200 means committed': (h) => {
    h.stored.pop();
    h.logged.pop();
    for (const streams of Object.values(h.deliveries)) streams[room].pop();
  },
  'a message is stored once': (h) => h.stored.push(row(2)),
  'the stored envelope is the answered envelope': (h) => (h.attempts[0].text = envelope(1, 'another')),
  'every stored message has a valid seal': (h) => {
    const forged = envelope(1, 'forged');
    h.stored[0].text = h.attempts[0].text = forged;
    for (const streams of Object.values(h.deliveries)) for (const f of streams[room]) if (f.offset === 1) f.text = forged;
  },
  'the sealed message is the sent message': (h) => (h.attempts[0].content = 'something else'),
  'a txn_id is inserted once': (h) => (h.attempts[4].replayed = false),
  'a refused message is not stored': (h) => Object.assign(h.attempts[4], { status: 403, code: 'user_muted' }),
  'every stored message was answered 200': (h) => h.attempts.splice(2, 1),
  'every stored message was sent': (h) => h.attempts.splice(0, 1),
  'a message sent after an answer has a higher offset': (h) => (h.attempts[0].began = h.attempts[3].ended + 1),
  'a replayed answer has an original': (h) => Object.assign(h.attempts[1], { status: 429, code: 'rate_limited' }),
  'retries decide every message': (h) => h.attempts.push(attempt(9, lost), attempt(9, { status: 503, code: 'overloaded' })),
  'every committed message is relayed': (h) => {
    h.logged.pop();
    for (const streams of Object.values(h.deliveries)) streams[room].pop();
  },
  'offsets count from 1 without gaps': (h) => (h.logged[2].offset = 4),
  'a message has one offset': (h) => h.logged.push({ ...h.logged[0], offset: 4 }),
  'every offset has a stored message': (h) => h.logged.push({ streamId: room, offset: 4, sender: 'eve', txnId: 't4' }),
  'every delivered message is stored': (h) => (h.deliveries.sse.elsewhere = [frame(1)]),
  'the delivered envelope is the stored envelope': (h) => (h.deliveries.mqtt[room][1].text = envelope(2, 'forged')),
  'prev is the offset of the previous frame': (h) => (h.deliveries.mqtt[room][1].prev = 0),
  'each stored message has its effect once': (h) => (h.effects[1].times = 2),
  'only stored messages have effects': (h) => h.effects.push(effect(4)),
  'only lost commits begin an epoch': (h) => (h.deliveries.sse[room] = [frame(1, { epoch: 'E0' }), reset, ...h.deliveries.sse[room].map((f) => ({ ...f, epoch: 'E1' }))]),
};
test('a violation is reported: each stored message has its effect once: an effect is missing', () => {
  const history = correct();
  history.effects.pop();
  assert.deepEqual(violated(history), ['each stored message has its effect once']);
});

for (const [guarantee, violate] of Object.entries(violations)) {
  test(`a violation is reported: ${guarantee}`, () => {
    const history = correct();
    violate(history);
    assert.ok(violated(history).includes(guarantee), `${violated(history)}`);
  });
}

const tests = 'the run tests something';
for (const [how, violate] of Object.entries({
  'few messages are stored': (h) => (h.run.seconds = 60),
  'a fault was not injected': (h) => (h.run.scheduled = 2),
  'a fault was not removed': (h) => delete h.faults[0].removed,
  'a sidecar accepts nothing after the last fault': (h) => (h.attempts[3].began = 11_000),
})) {
  test(`a violation is reported: ${tests}: ${how}`, () => {
    const history = correct();
    violate(history);
    assert.deepEqual(violated(history), [tests]);
  });
}

test('a violation is reported: the run has no messages and no faults', () => {
  const empty = { attempts: [], reads: [], calls: [], faults: [], stored: [], logged: [], deliveries: {}, repaired: [], effects: [], losses: [] };
  assert.deepEqual(violated({ ...empty, run: { seconds: 30, scheduled: 0, urls: [], began: 0, ended: 30_000 } }), [tests]);
});

const delivered = 'every reader gets every message in the order of offsets';
for (const [how, violate] of Object.entries({
  'a message is lost': (frames) => frames.splice(1, 1),
  'the last message is lost': (frames) => frames.pop(),
  'all messages are lost': (frames) => frames.splice(0),
  'the messages are in another order': (frames) => frames.reverse(),
})) {
  test(`a violation is reported: ${delivered}: ${how}`, () => {
    const history = correct();
    violate(history.deliveries.mqtt[room]);
    assert.deepEqual(violated(history), [delivered]);
  });
}

test('a violation is reported: a reader has no frames of a stream', () => {
  const history = correct();
  history.deliveries.ably = {};
  assert.deepEqual(violated(history), [delivered]);
});

test('a message that exceeded the rate may be sent again', () => {
  const history = correct();
  history.attempts.unshift(attempt(1, { status: 429, code: 'rate_limited', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

test('other content with a used txn_id is refused, and the first message is stored', () => {
  const history = correct();
  history.attempts.push(attempt(1, { content: 'other', status: 409, code: 'txn_id_reused', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

test('a message without an answer may be refused at the retry', () => {
  const history = correct();
  history.attempts.push(attempt(5, lost), attempt(5, { status: 403, code: 'user_banned', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

// The violations when the broker's reader takes one frame from the history.
const repaired = (after, before, faults = correct().faults) =>
  violated({ ...correct(), repaired: [{ streamId: room, offset: 2, after, before }], faults });

test('a killed broker may lose messages that it has accepted', () => {
  assert.deepEqual(repaired(9_900, 13_000), []);
  assert.deepEqual(repaired(12_100, 12_200), [], 'its reader had not subscribed again');
});

test('a violation is reported: a broker that is not killed loses nothing', () => {
  const guarantee = ['a broker that is not killed loses nothing'];
  assert.deepEqual(repaired(9_000, 9_900), guarantee);
  assert.deepEqual(repaired(20_000, 20_100), guarantee);
  assert.deepEqual(repaired(9_900, 13_000, [{ ...correct().faults[0], fault: 'freeze' }]), guarantee);
  assert.deepEqual(repaired(9_900, 13_000, [{ ...correct().faults[0], target: 'redis' }]), guarantee);
});

// The violations when `earlier` are the attempts of a message before its replayed answer.
function replayedAfter(earlier, { faults = [] } = {}) {
  const history = correct();
  history.attempts.splice(1, 2, ...earlier.map((answer) => attempt(2, { text: undefined, ...answer })), attempt(2, { replayed: true }));
  history.faults.push(...faults);
  history.run.scheduled = history.faults.length;
  return violated(history);
}

test('an attempt with an unknown outcome can be the original of a replayed answer', () => {
  for (const answer of [lost, { status: 503, code: 'database_unavailable' }, { status: 503, code: 'txn_in_progress' }]) {
    assert.deepEqual(replayedAfter([answer]), [], answer.code);
  }
});

test('a violation is reported: the only possible original inserted nothing or began later', () => {
  const guarantee = ['a replayed answer has an original'];
  for (const code of INSERTED_NOTHING) assert.deepEqual(replayedAfter([{ status: 503, code }]), guarantee, code);
  assert.deepEqual(replayedAfter([]), guarantee);
  assert.deepEqual(replayedAfter([{ ...lost, began: 20_020 }]), guarantee);
  assert.deepEqual(replayedAfter([{ replayed: true, text: envelope(2) }]), guarantee, 'another replayed answer is not an original');
});

test('a batch that is sent again after a lost connection to Postgres gives a replayed answer', () => {
  const faults = [{ fault: 'cut', target: 'postgres-a', injected: 19_990, removed: 19_999 }];
  assert.deepEqual(replayedAfter([], { faults }), []);
  const longAgo = [{ ...faults[0], injected: 1_000, removed: 2_000 }];
  assert.deepEqual(replayedAfter([], { faults: longAgo }), ['a replayed answer has an original']);
});

test('a fault that makes the sidecar connect to Postgres again may replay a batch', () => {
  for (const target of ['first-host-a', 'resolver']) {
    assert.deepEqual(replayedAfter([], { faults: [{ fault: 'hang', target, injected: 19_990, removed: 19_999 }] }), [], target);
  }
});

test('docs/errors.md has the same codes that mean nothing was inserted', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| (?:429|503) \| `(\w+)` \| (.*?) \|/gm)];
  const codes = rows.filter(([, , when]) => when.endsWith('Nothing was inserted')).map(([, code]) => code);
  assert.deepEqual(new Set(codes), INSERTED_NOTHING);
});

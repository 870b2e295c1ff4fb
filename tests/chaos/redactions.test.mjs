// Tests the rules of the checker about redaction, with histories that were made up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './checker.mjs';
import { SYSTEM, redactedForm } from './redactions.mjs';

const room = 'room';
const envelope = (n, rest = {}) => {
  const { t = 'chat', s = 'ann', d = { content: `c${n}` } } = rest;
  return `{"v":1,"t":"${t}","stream_id":"${room}","s":"${s}","ts":${1000 + n},"txn_id":"t${n}","d":${JSON.stringify(d)},"sig":"right"}`;
};
const announcement = (n, t, d) => envelope(n, { t, s: SYSTEM, d: { ...d, by: 'mo', reason: null } });
const texts = [envelope(1), envelope(2), envelope(3), announcement(4, 'message_redacted', { offset: 1, txn_id: 't1', sender_id: 'ann', ts: 1001 }),
  announcement(5, 'messages_purged', { user_id: 'ann', since: 1002, through: 1002 })];
const present = [redactedForm(texts[0]), redactedForm(texts[1]), ...texts.slice(2)];
const sender = (n) => (n > 3 ? SYSTEM : 'ann');
const frame = (n, text, arrived) => ({ offset: n, prev: n - 1, text, arrived });
const attempt = (n) => ({ sender: 'ann', txnId: `t${n}`, streamId: room, content: `c${n}`, status: 200, text: texts[n - 1], url: 'a', began: 20_000, ended: 20_010 });
const call = (rest) => ({ streamId: room, sender: 'ann', status: 200, began: 20_020, ended: 20_030, url: 'a', ...rest });

// Three messages. A moderator redacts the first one, and then the second one by a purge. The third one stays.
const correct = () => ({
  attempts: [1, 2, 3].map(attempt),
  run: { seconds: 0.6, scheduled: 0, urls: ['a'], began: 0, ended: 0 },
  reads: [], calls: [], faults: [], repaired: [], losses: [],
  redactions: [call({ kind: 'moderator', txnId: 't1', result: true }), call({ kind: 'purge', result: 1, began: 20_040, ended: 20_050 })],
  stored: present.map((text, i) => ({ sender: sender(i + 1), txnId: `t${i + 1}`, streamId: room, text })),
  logged: present.map((_, i) => ({ streamId: room, offset: i + 1, sender: sender(i + 1), txnId: `t${i + 1}` })),
  deliveries: {
    'sse at a': { [room]: texts.map((text, i) => frame(i + 1, text, 20_015 + 10 * i)) },
    redis_streams: { [room]: [3, 4, 5].map((n) => frame(n, texts[n - 1], 20_060)) },
    mqtt: { [room]: present.map((text, i) => frame(i + 1, text, 20_070)) },
  },
  late: [
    { path: 'event stream', streamId: room, began: 20_025, ended: 20_500, frames: texts.slice(0, 3).map((text, i) => ({ offset: i + 1, text })) },
    { path: 'history', streamId: room, began: 21_000, ended: 21_010, frames: present.map((text, i) => ({ offset: i + 1, text })) },
  ],
  effects: [1, 2, 3].map((n) => ({ sender: 'ann', txnId: `t${n}`, times: 1 })),
  epoch: 'E1',
});
const verifies = (text) => text.includes('"sig":"right"');
const violated = (history) => [...new Set(check(history, verifies).map(({ guarantee }) => guarantee))];

test('a correct history with redactions has no violation', () => {
  assert.deepEqual(check(correct(), verifies), []);
});

const violations = {
  'no reader who comes after a redaction gets the content': {
    'from the history': (h) => (h.late[1].frames[0].text = texts[0]),
    'from an event stream': (h) => h.late.push({ path: 'event stream', streamId: room, began: 20_031, ended: 20_500, frames: [{ offset: 1, text: texts[0] }] }),
    'after a purge, when its announcement has arrived': (h) => (h.late[1].frames[1].text = texts[1]),
  },
  'a redacted message has no content': {
    'Postgres answered, and has it': (h) => {
      h.stored[0].text = texts[0];
      h.stored.splice(3, 1, { ...h.stored[3], text: envelope(4, { t: 'note', s: SYSTEM, d: {} }) });
      h.deliveries = Object.fromEntries(Object.entries(h.deliveries).map(([reader, streams]) => [reader, { [room]: streams[room].map((f) => (f.offset === 4 ? { ...f, text: h.stored[3].text } : f)) }]));
    },
    'it was announced, and Postgres has it': (h) => {
      h.stored[0].text = texts[0];
      h.redactions[0] = { ...h.redactions[0], status: 0, result: undefined };
    },
  },
  'each redaction is announced': {
    'there is no announcement': (h) => {
      const silent = announcement(4, 'message_redacted', { offset: 9, txn_id: 't9', sender_id: 'ann', ts: 1009 });
      h.stored[3].text = silent;
      for (const streams of Object.values(h.deliveries)) for (const f of streams[room]) if (f.offset === 4) f.text = silent;
      h.redactions.push(call({ kind: 'own', txnId: 't9', result: true }));
    },
  },
  'each announcement of a redaction was asked for': { 'by no call': (h) => h.redactions.shift() },
  'no content follows the announcement of its redaction': { 'to an open reader': (h) => h.deliveries['sse at a'][room].push(frame(1, texts[0], 20_400)) },
  'Redis holds no redacted content': {
    'at the end': (h) => h.deliveries.redis_streams[room].unshift(frame(1, texts[0], 20_015)),
  },
  'every stored message has a valid seal': {
    'the hash is another': (h) => (h.stored[0].text = h.stored[0].text.replace('right', 'forged')),
  },
  'the stored envelope is the answered envelope': {
    'the hash is that of other content': (h) => (h.stored[0].text = redactedForm(envelope(1, { d: { content: 'other' } }))),
  },
  'the delivered envelope is the stored envelope': {
    'a reader gets another hash': (h) => (h.deliveries.mqtt[room][0].text = redactedForm(envelope(1, { d: { content: 'other' } }))),
  },
  'every reader gets every message in the order of offsets': {
    'Redis lacks a message that is not redacted': (h) => h.deliveries.redis_streams[room].shift(),
    'another reader lacks a redacted one': (h) => h.deliveries.mqtt[room].splice(1, 1),
  },
};
for (const [guarantee, ways] of Object.entries(violations)) {
  for (const [how, violate] of Object.entries(ways)) {
    test(`a violation is reported: ${guarantee}: ${how}`, () => {
      const history = correct();
      violate(history);
      assert.ok(violated(history).includes(guarantee), `${violated(history)}`);
    });
  }
}

test('a stopped process may finish its write to Redis', () => {
  const history = correct();
  history.deliveries.redis_streams[room].unshift(frame(1, texts[0], 20_015));
  history.faults.push({ fault: 'freeze', target: 'sidecar-a', injected: 19_000, removed: 19_900 });
  history.run.scheduled = 1;
  assert.deepEqual(check(history, verifies), []);
});

for (const [how, lost] of Object.entries({ 'of one message': { txnId: 't3', result: true }, 'of all of a user': { result: 1 } })) {
  test(`Redis may lack a message whose redaction ${how} Postgres has lost, and no other`, () => {
    const history = correct();
    history.deliveries.redis_streams[room].shift();
    history.redactions.push(call({ ...lost, began: 30_000, ended: 30_010 }));
    if (lost.txnId) assert.deepEqual(violated(history).sort(), ['a redacted message has no content', 'every reader gets every message in the order of offsets']);
    history.losses.push({ from: 30_000, to: 30_100 });
    assert.deepEqual(check(history, verifies), []);
  });
}

test('a redaction without an answer may be done later, and be lost', () => {
  const history = correct();
  history.deliveries.redis_streams[room].shift();
  history.redactions.push(call({ txnId: 't3', status: 0, result: undefined, began: 30_000, ended: 30_010 }));
  assert.deepEqual(violated(history), ['every reader gets every message in the order of offsets']);
  history.losses.push({ from: 32_000, to: 32_100 });
  assert.deepEqual(check(history, verifies), []);
});

for (const [how, take] of Object.entries({ 'nothing was redacted': (h) => (h.redactions = []), 'no reader came later': (h) => (h.late = []) })) {
  test(`a violation is reported: the run tests something: ${how}`, () => {
    const history = correct();
    history.run.seconds = 30;
    take(history);
    assert.ok(check(history, verifies).some(({ guarantee, details }) => guarantee === 'the run tests something' && details === how));
  });
}

test('a redaction that Postgres has lost violates nothing', () => {
  const history = correct();
  history.losses.push({ from: 20_000, to: 20_100 });
  history.stored[0].text = texts[0];
  history.stored.splice(3, 1, { ...history.stored[3], text: envelope(6, { d: { content: 'c6' } }), sender: 'ann', txnId: 't6' });
  history.logged[3] = { ...history.logged[3], sender: 'ann', txnId: 't6' };
  history.attempts.push({ ...attempt(1), txnId: 't6', content: 'c6', text: history.stored[3].text });
  history.effects.push({ sender: 'ann', txnId: 't6', times: 1 });
  for (const [reader, streams] of Object.entries(history.deliveries)) {
    streams[room] = streams[room].flatMap((f) => (f.offset === 4 ? [...(reader === 'redis_streams' ? [] : [f]), { ...f, text: history.stored[3].text }] : [f]));
    if (reader === 'redis_streams') streams[room].unshift(frame(1, texts[0], 20_015));
  }
  assert.ok(!violated(history).includes('a redacted message has no content'), `${violated(history)}`);
});

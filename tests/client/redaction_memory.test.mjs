// What a reader keeps because of redactions: no redacted content in any buffer, and a bounded memory.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { Delivery } from '../../client/delivery.js';
import { createClient } from '../../client/index.js';
import { OwnMessages } from '../../client/own_messages.js';
import { Redactions, redactionOf as parsedRedaction } from '../../client/redactions.js';
import { Sequencer } from '../../client/sequencer.js';
import { until } from '../integration/waiting.mjs';
import { fetchOf, pigeon, redactedForm, redactionOf, sealed, systemMessage } from './redaction_model.mjs';
import { Reader } from './reader.mjs';
import { AT_ONCE, upTo } from './sequencer_model.mjs';

const skip = globalThis.crypto?.subtle ? false : 'crypto.subtle is missing';
const room = randomUUID();
const frame = (offset, envelope) => ({ offset, prev: offset - 1, envelope });

// A sequencer with its delivery, whose frames all wait for the handler, which is busy with offset 1.
function waiting({ history } = {}) {
  let delivery;
  const deliver = () => new Promise(() => {});
  const sequencer = new Sequencer({ ...AT_ONCE, history, deliver, arrived: (each) => delivery.arrived(each), historyFailed: assert.ifError });
  const { signal } = new AbortController();
  delivery = new Delivery({ streamId: room, handler: () => {}, verifier: null, sequencer, showOwn: true, signal }, { redacted: () => {} });
  sequencer.start(0);
  sequencer.push(frame(1, sealed(room)));
  const isEmpty = (offset) => sequencer.held.find((each) => each.offset === offset)?.envelope.d === null;
  return { sequencer, delivery, settled: (offset) => until(`${offset} has lost its content`, () => isEmpty(offset)) };
}

test('frames that wait lose their redacted content, whichever comes first, and keep the proof', { skip }, async () => {
  const { sequencer, settled } = waiting();
  const [one, two, three, kept] = upTo(4).map((n) => sealed(room, { ts: n }));
  sequencer.push(frame(2, one));
  sequencer.push(frame(5, redactionOf(room, one, 2)));
  sequencer.push(frame(6, redactionOf(room, two, 3)));
  sequencer.push(frame(3, two));
  sequencer.push(frame(4, three));
  sequencer.push(frame(8, kept));
  sequencer.push(frame(7, systemMessage(room, 'messages_purged', { since: 0, through: 9, user_id: three.s })));
  for (const offset of [2, 3, 4]) await settled(offset);
  assert.deepEqual(sequencer.held.slice(0, 3).map(({ envelope }) => envelope), [one, two, three].map(redactedForm));
  assert.deepEqual(sequencer.held.at(-1).envelope, kept);
  sequencer.close();
});

test('a page of the history loses its redacted content too', { skip }, async () => {
  const [one, two] = [sealed(room), sealed(room)];
  let release;
  const page = { messages: [frame(2, sealed(room)), frame(3, two), frame(4, redactionOf(room, two, 3)), frame(5, sealed(room))], first: 1, last: 6 };
  const { sequencer, settled } = waiting({ history: () => new Promise((resolve) => (release ??= () => resolve(page))) });
  sequencer.push(frame(6, one));
  await until('the history is read', () => release);
  sequencer.push(frame(7, redactionOf(room, one, 6)));
  release();
  for (const offset of [3, 6]) await settled(offset);
  sequencer.close();
});

test("the memory of the user's own messages loses redacted content, and does not show it", { skip }, async () => {
  const shown = [];
  const own = new OwnMessages((envelope) => shown.push(envelope));
  const [kept, lost, gone] = upTo(3).map(() => sealed(room));
  for (const { txn_id } of [kept, lost, gone]) own.sent(txn_id);
  for (const envelope of [kept, lost]) own.sealed(envelope);
  own.sealed(redactedForm(gone)); // the answer to a repeat, after the redaction
  own.redact(({ txn_id }) => txn_id === lost.txn_id);
  assert.ok(lost.d, 'the object of the application is unchanged');
  own.isNew(systemMessage(room, 'sampling_update', { rate: 0 }));
  await until('the message is shown', () => shown.length > 0);
  await nextTick();
  assert.deepEqual(shown, [kept]);
  assert.equal(own.isNew(redactedForm(lost)), true, 'its frame is still handed over');
  own.isNew({ ...systemMessage(room, 'sampling_update', {}), d: null }); // a redacted one has no effect
});

test('an own message whose redaction arrives before its answer is handed over without content', { skip }, async () => {
  let release;
  const late = new Promise((resolve) => (release = resolve));
  const mine = sealed(room, { d: { content: 'mine' } });
  const driver = pigeon();
  const client = createClient({ url: 'https://model.example', token: 'x', transports: [driver], fetch: fetchOf(() => null, async () => (await late, mine)) });
  const told = [];
  const reader = new Reader(client, room, { ...AT_ONCE, patienceMs: 2 ** 30, from: 0, onRedacted: (redaction) => told.push(redaction) });
  await reader.ready();
  const sending = client.sendMessage(room, 'chat', mine.d, { txnId: mine.txn_id });
  await nextTick();
  driver.feed(frame(1, systemMessage(room, 'sampling_update', { rate: 0 })));
  driver.feed({ ...frame(9, redactionOf(room, mine, 7)), prev: 1 }); // the public channel leaves 7 out
  await reader.reached(9);
  release();
  await sending;
  for (let i = 0; i < 20; i++) await nextTick();
  assert.ok(!JSON.stringify(reader.frames).includes('mine'));
  assert.equal(told.length, 1, 'the application may have the message from sendMessage()');
});

test('the content of own messages is forgotten when a redaction covers them, before or after their answer', (t) => {
  const { mock } = t.mock.method(OwnMessages.prototype, 'redact');
  const { sequencer, delivery } = waiting();
  const [one, two, other] = upTo(3).map((ts) => sealed(room, { ts }));
  const lastForgets = (envelope) => mock.calls.at(-1).arguments[0](envelope);
  sequencer.push(frame(3, redactionOf(room, one, 2)));
  assert.deepEqual([lastForgets(one), lastForgets(two)], [true, false]);
  sequencer.push(frame(4, systemMessage(room, 'messages_purged', { since: 2, through: 2, user_id: two.s })));
  assert.deepEqual([lastForgets(one), lastForgets(two)], [false, true]);
  delivery.sealed(two);
  assert.deepEqual([one, two, other].map(lastForgets), [true, true, false]);
  sequencer.close();
});

test('an own message that was shown without a frame is told by its redaction', { skip }, async () => {
  const mine = sealed(room, { d: { content: 'mine' } });
  const driver = pigeon();
  const client = createClient({ url: 'https://model.example', token: 'x', transports: [driver], fetch: fetchOf(() => null, () => mine) });
  const told = [];
  const reader = new Reader(client, room, { ...AT_ONCE, from: 0, onRedacted: (redaction) => told.push(redaction) });
  await reader.ready();
  driver.feed(frame(1, systemMessage(room, 'sampling_update', { rate: 0 })));
  await reader.reached(1);
  await client.sendMessage(room, 'chat', mine.d, { txnId: mine.txn_id });
  await reader.until('the own message is shown', () => reader.frames.length === 2);
  assert.equal(reader.frames[1].offset, null);
  driver.feed({ ...frame(9, systemMessage(room, 'messages_purged', { since: 0, through: mine.ts, user_id: mine.s })), prev: 1 });
  await reader.reached(9);
  assert.deepEqual(told.map(({ senderId, offsets }) => [senderId, offsets]), [[mine.s, []]]);
});

const single = (n) => parsedRedaction(frame(9000, redactionOf(room, { s: 'sender', txn_id: `t${n}` }, n)));
const purge = (n) => parsedRedaction(frame(8000 + n, systemMessage(room, 'messages_purged', { since: n, through: n, user_id: 'sender' })));

test('the newest 1000 redactions of messages and the newest 1000 purges are remembered', () => {
  const redactions = new Redactions();
  for (const n of upTo(1001)) redactions.add(single(n));
  for (const n of upTo(1001)) redactions.add(purge(n));
  const find = (n, ts = 0) => redactions.find(frame(1, { s: 'sender', txn_id: `t${n}`, ts })) !== undefined;
  assert.deepEqual([find(1), find(2), find(1001)], [false, true, true]);
  assert.deepEqual([find(0, 1), find(0, 2), find(0, 1001)], [false, true, true]);
  assert.deepEqual([redactions.add(single(2)), redactions.add(single(1))], [false, true]);
});

test('a purge names the offsets among the newest 1000 messages that the handler got', () => {
  const redactions = new Redactions();
  for (const n of upTo(1002)) redactions.handed(frame(n, { s: 'sender', txn_id: `t${n}`, ts: n, d: {} }));
  const all = { ...purge(1), since: 0, through: 5000 };
  redactions.add(all);
  assert.deepEqual(redactions.takeNews(all, 1002).offsets, upTo(1002, 3));
  assert.equal(redactions.takeNews(all, 1002), null, 'once');
});

test('a rewind forgets the purges that come again, and the messages after it', () => {
  const redactions = new Redactions();
  for (const n of upTo(2)) redactions.add(purge(n)); // at 8001 and 8002
  for (const n of [8000, 8002]) redactions.handed(frame(n, { s: 'sender', txn_id: `t${n}`, ts: n, d: {} }));
  redactions.rewound(8001);
  const find = (ts) => redactions.find(frame(1, { s: 'sender', txn_id: 'x', ts })) !== undefined;
  assert.deepEqual([find(1), find(2)], [true, false]);
  const all = { ...purge(3), since: 0, through: 9000 };
  redactions.add(all);
  assert.deepEqual(redactions.takeNews(all, 8001).offsets, [8000]);
});

test('at most 100 redactions are verified before their turn, and the others in their turn', { skip }, async () => {
  const answers = [];
  const driver = pigeon();
  const answer = () => new Promise((resolve) => answers.push(() => resolve({ result: 'ok' })));
  const client = createClient({ url: 'https://model.example', transports: [driver], fetch: fetchOf(() => null, answer) });
  const reader = new Reader(client, room, { ...AT_ONCE, patienceMs: 2 ** 30, from: 0, verify: true });
  await reader.ready();
  for (const n of upTo(150)) driver.feed(frame(n + 1, redactionOf(room, sealed(room), 1)));
  await until('requests are under way', () => answers.length >= 100);
  await nextTick();
  assert.equal(answers.length, 100);
  driver.feed(frame(1, sealed(room)));
  await until('all are verified', () => {
    for (const give of answers.splice(0)) give();
    return reader.subscription.offset === 151;
  });
});

test('a redaction is not told before the position is known', () => {
  const redactions = new Redactions();
  for (const redaction of [single(5), purge(5)]) {
    redactions.add(redaction);
    assert.equal(redactions.takeNews(redaction, null), null);
    assert.ok(redactions.takeNews(redaction, 9));
  }
  redactions.add(single(8));
  assert.equal(redactions.takeNews(single(8), 7), null, 'its message comes later, without content');
});

// What a reader does with redactions: content that was redacted before it is handed over is never handed over, and of content
// that was handed over before the application is told once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { covers, createClient } from '../../client/index.js';
import { until } from '../integration/waiting.mjs';
import { fetchOf, pigeon, publicKeys, redactedForm, RedactionModel, redactionOf, sealed, systemMessage } from './redaction_model.mjs';
import { random } from './random.mjs';
import { Reader } from './reader.mjs';
import { AT_ONCE, upTo } from './sequencer_model.mjs';

const skip = globalThis.crypto?.subtle ? false : 'crypto.subtle is missing';
const room = randomUUID();
const frame = (offset, envelope, more = {}) => ({ offset, prev: offset - 1, envelope, ...more });
const moderator = randomUUID();

for (const [verify, seeds] of [[false, 300], ['keys', 80]]) {
  test(`verify: ${verify}: in ${seeds} random streams with redactions, purges, losses, repeats, disorder and races, over two transports, no redacted content is handed over, and each loss is told once`, { skip }, async () => {
    let [early, late] = [0, 0];
    for (let seed = 1; seed <= seeds; seed++) {
      const dice = random(seed);
      const size = 1 + dice.below(60);
      const limits = { maxHeld: 4 + dice.below(30), pageSize: 1 + dice.below(10) };
      const model = new RedactionModel(dice, size, { verify, limits });
      await model.begin();
      const carried = [0, 1].flatMap((transport) =>
        upTo(size)
          .filter(() => !dice.chance(0.2))
          .flatMap((offset) => (dice.chance(0.1) ? [[transport, offset], [transport, offset]] : [[transport, offset]])),
      );
      for (const [transport, offset] of dice.jostled(carried.sort(([, a], [, b]) => a - b), 12)) {
        model.bring(transport, offset);
        while (dice.chance(0.4)) await nextTick();
        if (dice.chance(0.1)) await model.reached(model.last).catch((error) => assert.fail(`seed ${seed}: ${error.message}`));
      }
      model.publishAll();
      await model.reached(size).catch((error) => assert.fail(`seed ${seed}: ${error.message}`));
      model.assertOutcome(`seed ${seed}`);
      early += model.handed.filter(({ redacted }) => redacted).length;
      late += model.told.flatMap(({ offsets }) => offsets).length;
      await model.close();
    }
    assert.ok(early > seeds / 4 && late > seeds / 4, `${early} messages were redacted before they were handed over, ${late} after`);
  });
}

// A reader that the test feeds. It has no history unless the test gives one.
async function fedReader({ options = {}, page = () => ({ status: 404, code: 'none', message: 'none' }), answer, before } = {}) {
  const driver = pigeon();
  const client = createClient({ url: 'https://model.example', transports: [driver], publicKeys, fetch: fetchOf(page, answer) });
  const told = [];
  const onRedacted = (redaction) => void told.push(redaction);
  const reader = new Reader(client, room, { ...AT_ONCE, patienceMs: 2 ** 30, quietMs: 0, from: 0, onRedacted, ...options }, before);
  await reader.ready();
  return { client, reader, told, feed: driver.feed };
}

const contents = (reader) => reader.frames.filter(({ envelope }) => envelope.t === 'chat').map(({ envelope: { d } }) => d?.content ?? null);

test('a message that waits for an earlier one loses its content as soon as its redaction arrives', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const messages = upTo(3).map((n) => sealed(room, { d: { content: `n ${n}` } }));
  feed(frame(3, messages[2]));
  feed(frame(4, redactionOf(room, messages[2], 3, { by: moderator, reason: 'spam' })));
  feed(frame(2, messages[1]));
  feed(frame(1, messages[0]));
  await reader.reached(4);
  assert.deepEqual(contents(reader), ['n 1', 'n 2', null]);
  const { ts } = reader.frames[3].envelope;
  assert.deepEqual(reader.frames[2], frame(3, redactedForm(messages[2]), { redacted: { by: moderator, at: ts, reason: 'spam' } }));
  assert.deepEqual(told, []);
});

test('a message that was handed over is told once, with who, when and why', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const message = sealed(room);
  feed(frame(1, message));
  await reader.reached(1);
  const redaction = redactionOf(room, message, 1, { by: moderator, reason: 'spam' });
  feed(frame(2, redaction));
  feed(frame(2, redaction));
  feed(frame(3, redactionOf(room, message, 1, { by: null, reason: 'again' })));
  await reader.reached(3);
  const about = { senderId: message.s, txnId: message.txn_id, since: null, through: null, before: null };
  assert.deepEqual(told, [{ ...about, offsets: [1], by: moderator, at: redaction.ts, reason: 'spam' }]);
  assert.deepEqual([message, sealed(room, { s: message.s })].map((envelope) => covers(told[0], { offset: 1, envelope })), [true, false]);
});

test('the application is told at once, although frames before the redaction are missing, but not during a call of its handler', { skip }, async () => {
  let release;
  const first = new Promise((resolve) => (release = resolve));
  const { reader, told, feed } = await fedReader({ before: () => first });
  const message = sealed(room);
  feed(frame(1, message));
  await nextTick();
  feed(frame(9, redactionOf(room, message, 1))); // 2 to 8 are missing
  await nextTick();
  assert.deepEqual(told, [], 'the handler is still working');
  release();
  await until('the application is told', () => told.length === 1);
  assert.deepEqual([reader.offsets, reader.subscription.offset], [[1], 1]);
});

test('a redaction of a message from before the subscription is told, since the application may have the message', { skip }, async () => {
  const { reader, told, feed } = await fedReader({ options: { from: 5 } });
  feed(frame(6, redactionOf(room, sealed(room), 3)));
  await reader.reached(6);
  assert.deepEqual(told.map(({ offsets }) => offsets), [[3]]);
});

test('a purge is one call, whose offsets are those of the messages that had content; its bounds are inclusive, and it ends before itself', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const [s, ts] = [randomUUID(), 1_700_000_000_000];
  const messages = [9, 10, 15, 20, 21].map((ms) => sealed(room, { s, ts: ts + ms }));
  messages.forEach((message, i) => feed(frame(i + 1, message)));
  feed(frame(6, sealed(room, { ts: ts + 15 })));
  await reader.reached(6);
  feed(frame(7, redactionOf(room, messages[2], 3)));
  const purge = systemMessage(room, 'messages_purged', { by: moderator, reason: 'raid', since: ts + 10, through: ts + 20, user_id: s });
  feed(frame(8, purge));
  feed(frame(9, sealed(room, { s, ts: ts + 12, d: { content: 'committed after the purge' } })));
  feed(frame(10, sealed(room, { s, ts: ts + 30, d: { content: 'after the purge' } })));
  await reader.reached(10);
  assert.deepEqual(told.map(({ offsets }) => offsets), [[3], [2, 4]]);
  assert.deepEqual(told[1], { senderId: s, txnId: null, since: ts + 10, through: ts + 20, before: 8, offsets: [2, 4], by: moderator, at: purge.ts, reason: 'raid' });
  assert.deepEqual(messages.map((envelope) => covers(told[1], { offset: 5, envelope })), [false, true, true, true, false]);
  assert.deepEqual([7, 8, null].map((offset) => covers(told[1], { offset, envelope: messages[1] })), [true, false, true]);
  assert.deepEqual(contents(reader).slice(-2), ['committed after the purge', 'after the purge']);
});

test('what the server has redacted is handed over without content, and not told', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const message = sealed(room);
  const redacted = frame(1, redactedForm(message), { redacted: { by: moderator, at: 7, reason: null } });
  feed(redacted);
  feed(frame(2, redactionOf(room, message, 1)));
  await reader.reached(2);
  assert.deepEqual(reader.frames[0], redacted);
  assert.deepEqual(told, []);
});

test('only a system message of this stream redacts', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const message = sealed(room);
  const { d, t } = redactionOf(room, message, 1);
  feed(frame(1, sealed(room, { t, d, s: message.s })));
  feed(frame(2, systemMessage(randomUUID(), t, d)));
  feed(frame(3, systemMessage(room, 'chat', d)));
  for (const [i, broken] of [undefined, null, 'x', {}, { ...d, txn_id: 7 }, { ...d, sender_id: null }].entries()) {
    feed(frame(4 + i, { ...systemMessage(room, t, d), d: broken, ...(broken === null && { payload_hash: '0'.repeat(64) }) }, broken === null ? { redacted: {} } : {}));
  }
  const purge = { user_id: message.s, since: 0, through: 2e12 };
  for (const [i, broken] of [{ ...purge, since: '0' }, { ...purge, through: null }, { ...purge, user_id: '' }].entries()) {
    feed(frame(10 + i, systemMessage(room, 'messages_purged', broken)));
  }
  feed(frame(13, message));
  await reader.reached(13);
  assert.deepEqual([contents(reader).at(-1), told, reader.errors], ['x', [], []]);
});

test("verify: 'keys': a forged redaction has no effect, and a message waits for the verdict on its redaction", { skip }, async () => {
  const { reader, told, feed } = await fedReader({ options: { verify: 'keys' } });
  const [kept, lost] = [sealed(room, { d: { content: 'kept' } }), sealed(room)];
  const genuine = redactionOf(room, lost, 2);
  feed(frame(4, { ...redactionOf(room, kept, 1), sig: genuine.sig }));
  feed(frame(3, genuine));
  feed(frame(2, lost));
  feed(frame(1, kept));
  feed(frame(5, sealed(room, { d: { content: 'next' } })));
  await reader.reached(5);
  assert.deepEqual([reader.offsets, contents(reader)], [[1, 2, 3, 5], ['kept', null, 'next']]);
  assert.deepEqual(reader.errors.map(({ code, frame: { offset } }) => [code, offset]), [['unverified', 4]]);
  assert.deepEqual(told, []);
});

test('verify: true asks once about each redaction, and hands over the messages that the server calls redacted', { skip }, async () => {
  const asked = [];
  const answer = (path, body) => {
    const { txn_id, d } = JSON.parse(body);
    asked.push(txn_id);
    return { result: d === null ? 'redacted' : 'ok' };
  };
  const { reader, feed } = await fedReader({ options: { verify: true }, answer });
  const message = sealed(room);
  const frames = [frame(1, message), frame(2, redactionOf(room, message, 1))];
  feed(frames[1]);
  feed(frames[0]);
  await reader.reached(2);
  assert.deepEqual(contents(reader), [null]);
  assert.deepEqual(asked.sort(), frames.map(({ envelope }) => envelope.txn_id).sort());
});

test('a page of the history that was read before a redaction has no redacted content when the application gets it', { skip }, async () => {
  let release;
  const late = new Promise((resolve) => (release = resolve));
  const [message, other] = [sealed(room), sealed(room, { d: { content: 'other' } })];
  const messages = [frame(1, message), frame(2, other), { offset: 3, prev: 2, gone: true }];
  const page = async () => (await late, { messages, first: 1, last: 3, epoch: 'e1' });
  const { client, reader, told, feed } = await fedReader({ page, options: { from: 3 } });
  const reading = client.messages(room.toUpperCase());
  feed(frame(4, redactionOf(room, message, 1)));
  await reader.reached(4);
  release();
  const { messages: found } = await reading;
  assert.deepEqual(found.map(({ envelope }) => envelope?.d), [null, other.d, undefined]);
  assert.deepEqual(found[0].envelope, redactedForm(message));
  assert.equal(told.length, 1);
});

for (const verify of [false, true]) test(`verify: ${verify}: without crypto.subtle redacted content is left out all the same, and the hash is missing`, async () => {
  // Without its content and its hash, the server cannot verify the message.
  const answer = (path, body) => ({ result: JSON.parse(body).d === null ? 'malformed' : 'ok' });
  const { reader, feed } = await fedReader({ options: { verify }, answer });
  const message = sealed(room);
  const missing = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
  try {
    feed(frame(2, message));
    feed(frame(3, redactionOf(room, message, 2)));
    for (let i = 0; i < 10; i++) await nextTick(); // the message waits for 1
    feed(frame(1, sealed(room)));
    await reader.reached(3);
  } finally {
    Object.defineProperty(globalThis, 'crypto', missing);
  }
  const { payload_hash: _, ...others } = redactedForm(message);
  assert.deepEqual(reader.frames[1].envelope, others);
});

test('after a rewind, messages that come again are handed over without their redacted content', { skip }, async () => {
  const { reader, told, feed } = await fedReader({ page: () => ({ messages, first: 1, last: 2, epoch: 'e2' }) });
  const [one, two] = [sealed(room), sealed(room, { d: { content: 'two' } })];
  const messages = [frame(1, one), frame(2, two)];
  for (const each of [...messages, frame(3, redactionOf(room, one, 1))]) {
    feed(each);
    await reader.reached(each.offset);
  }
  feed(frame(2, sealed(room))); // another message has this offset now, so the history is read
  await reader.until('the messages come again', () => reader.frames.length === 5);
  assert.deepEqual(contents(reader), ['x', 'two', null, 'two']);
  assert.equal(told.length, 1);
});

test('no call follows the end of the subscription', { skip }, async () => {
  const { reader, told, feed } = await fedReader();
  const message = sealed(room);
  feed(frame(1, message));
  await reader.reached(1);
  feed(frame(2, redactionOf(room, message, 1)));
  await reader.close();
  assert.deepEqual(told, []);
});

// Redaction from end to end: the client library against a sidecar, over SSE and MQTT.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { sharedStack } from '../integration/stack.mjs';
import { Reader } from './reader.mjs';

const { MQTT_URL: broker, MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD } = process.env;
const skip = broker ? false : 'MQTT_URL names no broker; run this file by tests/with_stack.sh';

let stack;
before(async () => {
  if (!skip) stack = await sharedStack();
});
after(() => stack?.close());

function mqttDriver() {
  const url = new URL(broker);
  [url.username, url.password] = [MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD];
  return mqtt({ client: () => mqttjs.connect(url.href, { reconnectPeriod: 0 }) });
}

const contents = ({ frames }) => frames.filter(({ envelope: { t } }) => t === 'chat').map(({ envelope: { d } }) => d?.content ?? null);

test('a redaction and a purge reach readers on SSE and MQTT, late readers get no content, and all signatures verify', { skip }, async () => {
  const room = await stack.stream();
  const [moderator, sender, other] = [stack.user(), stack.user(), stack.user()];
  await stack.grant(room, moderator, 'moderator');
  const clientOf = (user, transports) => createClient({ url: stack.url, token: user.token(), transports });
  const [ofModerator, ofSender, ofOther] = [moderator, sender, other].map((user) => clientOf(user, [sse()]));
  const told = { sse: [], mqtt: [] };
  const readers = [sse(), mqttDriver()].map(
    (driver) => new Reader(clientOf(other, [driver]), room, { from: 0, verify: true, onRedacted: (redaction) => told[driver.name].push(redaction) }),
  );
  for (const reader of readers) await reader.ready();

  const txnId = '0190d000-0000-7000-8000-00000000abcd';
  const first = await ofSender.sendMessage(room, 'chat', { content: 'one' }, { txnId });
  for (const content of ['two', 'three']) await ofSender.sendMessage(room, 'chat', { content });
  await ofOther.sendMessage(room, 'chat', { content: 'kept' });
  for (const reader of readers) await reader.reached(4);

  assert.equal(await ofModerator.redact(room, { offset: 1 }, 'spam'), true);
  assert.equal(await ofModerator.redact(room, { txnId, senderId: first.s }), false);
  await assert.rejects(ofOther.redact(room, { offset: 2 }), { code: 'role_required' });
  assert.equal(await ofModerator.redactMessages(room, first.s, { since: first.ts, reason: 'raid' }), 2);
  await ofSender.sendMessage(room, 'chat', { content: 'after the purge' });

  for (const [i, reader] of readers.entries()) {
    await reader.reached(7);
    const [one, purge, ...more] = told[['sse', 'mqtt'][i]];
    assert.deepEqual([one.offsets, one.senderId, one.txnId, one.reason], [[1], first.s, txnId, 'spam']);
    assert.deepEqual([purge.offsets, purge.senderId, purge.before], [[2, 3], first.s, 6]);
    assert.deepEqual(more, []);
    assert.deepEqual(reader.errors, []);
  }
  const late = new Reader(clientOf(other, [sse()]), room, { from: 0, verify: true });
  await late.reached(7);
  assert.deepEqual(contents(late), [null, null, null, 'kept', 'after the purge']);
  assert.deepEqual(late.frames[0].redacted.reason, 'spam');
  assert.equal(await ofOther.verify(late.frames[0].envelope), 'redacted');
  assert.deepEqual(await ofSender.sendMessage(room, 'chat', { content: 'one' }, { txnId }), late.frames[0].envelope);
  for (const reader of [...readers, late]) await reader.close();
});

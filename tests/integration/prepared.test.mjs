// Messages in prepared transactions (two-phase commit): only these messages are held until COMMIT PREPARED or ROLLBACK PREPARED.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Caller } from './caller.mjs';
import { Subscriber, message, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  await stack.query('alter system set max_prepared_transactions = 5');
  await restartPostgres();
  // The gate counts repeats too, so it needs a high rate limit.
  await stack.query("insert into sealcast.message_types (t, rate) values ('busy', 1000)");
  sidecar = await stack.sidecar();
});
after(async () => {
  await sidecar?.stop();
  await stack.close();
});

async function restartPostgres() {
  await stack.stop('postgres', 'SIGINT');
  await stack.startPostgres();
}

// Sends a message in a transaction, prepares the transaction and closes the connection.
async function prepare(room, user, gid) {
  const body = message(room, 'held', { t: 'busy' });
  const caller = await Caller.connect(stack, user);
  try {
    await caller.query('begin');
    const envelope = await caller.send(body);
    await caller.query(`prepare transaction '${gid}'`);
    return { body, envelope };
  } finally {
    await caller.end();
  }
}

// While the message is held, a repeat gets txn_in_progress over HTTP and from SQL, and another message of the user passes.
async function assertHeldAlone(room, user, { body }) {
  const repeated = await send(sidecar.url, user, body);
  assert.deepEqual([repeated.status, repeated.json.code], [503, 'txn_in_progress']);
  await assert.rejects(stack.sendFromSql(user, body), ({ code, detail }) => code === 'PT503' && detail.startsWith('txn_in_progress'));
  const other = message(room, 'another', { t: 'busy' });
  assert.equal((await send(sidecar.url, user, other)).status, 200);
  assert(!(await stack.stored(room)).includes(body.txn_id), 'the held message is not stored yet');
  return other.txn_id;
}

test('a prepared message is held alone, also over a restart, and is relayed after COMMIT PREPARED', { timeout: 120_000 }, async () => {
  const room = await stack.stream();
  const user = stack.user();
  const subscriber = await Subscriber.to(sidecar.url, room);
  const held = await prepare(room, user, 'committed');
  try {
    const others = [await assertHeldAlone(room, user, held)];
    await restartPostgres();
    await sidecar.ready();
    others.push(await assertHeldAlone(room, user, held));
    await subscriber.received(2);
    await stack.query("commit prepared 'committed'");
    await subscriber.received(3);
    assert.deepEqual(subscriber.frames.map((frame) => [frame.offset, frame.envelope.txn_id]),
      [...others, held.body.txn_id].map((txnId, i) => [i + 1, txnId]));
    const repeated = await send(sidecar.url, user, held.body);
    assert.deepEqual([repeated.status, repeated.headers['idempotency-replayed'], repeated.text], [200, 'true', held.envelope]);
    assert.deepEqual((await stack.stored(room)).sort(), [...others, held.body.txn_id].sort());
  } finally {
    subscriber.close();
  }
});

test('after ROLLBACK PREPARED the message is gone, and a repeat is a new message', async () => {
  const room = await stack.stream();
  const user = stack.user();
  const subscriber = await Subscriber.to(sidecar.url, room);
  const held = await prepare(room, user, 'rolled back');
  try {
    const other = await assertHeldAlone(room, user, held);
    await stack.query("rollback prepared 'rolled back'");
    assert.deepEqual(await stack.stored(room), [other]);
    const repeated = await send(sidecar.url, user, held.body);
    assert.deepEqual([repeated.status, repeated.headers['idempotency-replayed']], [200, undefined]);
    await subscriber.received(2);
    assert.deepEqual(subscriber.frames.map((frame) => frame.envelope.txn_id), [other, held.body.txn_id]);
    assert.deepEqual((await stack.stored(room)).sort(), [other, held.body.txn_id].sort());
  } finally {
    subscriber.close();
  }
});

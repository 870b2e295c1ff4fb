// Concurrent writers over HTTP and from SQL: with the same txn_id, under every isolation level, and beside a transaction that
// stays open.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Caller } from './caller.mjs';
import { Subscriber, message, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const HELD_MS = Number(process.env.HELD_SECONDS ?? 3) * 1000; // the least time for which the transaction stays open

let stack, sidecars;
before(async () => {
  stack = await PrivateStack.create();
  // The gate counts repeats too, so it needs a high rate limit.
  await stack.query("insert into sealcast.message_types (t, rate) values ('busy', 1000)");
  sidecars = [await stack.sidecar(), await stack.sidecar({ SEALCAST_GATE_SOCKET: '' })];
});
after(async () => {
  for (const sidecar of sidecars) await sidecar.stop();
  await stack.close();
});

const busy = (room, content) => message(room, content, { t: 'busy' });

// Repeats the attempt until it gives an envelope.
async function retryUntilSent(attempt) {
  for (;;) {
    const envelope = await attempt();
    if (envelope) return envelope;
  }
}

test('30 concurrent writers with one txn_id, over HTTP and from SQL, make one message', { timeout: 120_000 }, async () => {
  const room = await stack.stream();
  const subscribers = await Promise.all(sidecars.map(({ url }) => Subscriber.to(url, room)));
  for (let round = 1; round <= 3; round++) {
    const user = stack.user();
    const body = busy(room, round);
    let inserted = 0;
    const overHttp = async (url) => {
      const answer = await send(url, user, body);
      if (answer.status === 503) return assert.equal(answer.json.code, 'txn_in_progress');
      assert.equal(answer.status, 200, answer.text);
      if (!answer.headers['idempotency-replayed']) inserted++;
      return answer.text;
    };
    const fromSql = async () => {
      try {
        return await stack.sendFromSql(user, body);
      } catch (error) {
        assert.equal(error.code, 'PT503', error.message);
        assert.match(error.detail, /^txn_in_progress/);
      }
    };
    const writers = Array.from({ length: 30 }, (_, i) => retryUntilSent(i % 2 ? fromSql : () => overHttp(sidecars[(i / 2) % 2].url)));
    const envelopes = new Set(await Promise.all(writers));
    assert.equal(envelopes.size, 1, 'all writers get the same envelope');
    assert.ok(inserted <= 1, `${inserted} answers say that they inserted it`);
    assert.equal((await stack.stored(room)).length, round, 'one row is stored');
    for (const subscriber of subscribers) {
      await subscriber.received(round);
      assert.deepEqual(subscriber.frames.map((f) => f.offset), Array.from({ length: round }, (_, i) => i + 1), 'one frame is delivered');
    }
  }
  for (const subscriber of subscribers) subscriber.close();
});

for (const level of ['repeatable read', 'serializable']) {
  test(`a ${level} caller gets 40001 when its txn_id was sent meanwhile, and the original when it retries`, async () => {
    const room = await stack.stream();
    const user = stack.user();
    const caller = await Caller.connect(stack, user);
    const body = busy(room);
    try {
      await caller.query(`begin isolation level ${level}`);
      await caller.query('select from sealcast.streams'); // takes the snapshot
      const answer = await send(sidecars[0].url, user, body);
      assert.equal(answer.status, 200);
      await assert.rejects(caller.send(body), { code: '40001' });
      await caller.query('rollback');
      await caller.query(`begin isolation level ${level}`);
      assert.equal(await caller.send(body), answer.text);
      await caller.query('commit');
      assert.deepEqual(await stack.stored(room), [body.txn_id]);
    } finally {
      await caller.end();
    }
  });

  test(`messages of many ${level} callers are stored and delivered once and in order`, { timeout: 120_000 }, async () => {
    const room = await stack.stream();
    const subscriber = await Subscriber.to(sidecars[1].url, room);
    const sent = [];
    const call = async (writer) => {
      const caller = await Caller.connect(stack, stack.user());
      for (let i = 0; i < 20; i++) {
        const body = busy(room, `${writer}: ${i}`);
        sent.push(body.txn_id);
        await retryUntilSent(async () => {
          try {
            await caller.query(`begin isolation level ${level}`);
            const envelope = await caller.send(body);
            await caller.query('commit');
            return envelope;
          } catch (error) {
            assert.equal(error.code, '40001', error.message);
            await caller.query('rollback');
          }
        });
      }
      await caller.end();
    };
    const chat = async () => {
      for (let i = 0; i < 50; i++) {
        const body = busy(room);
        sent.push(body.txn_id);
        assert.equal((await send(sidecars[i % 2].url, stack.user(), body)).status, 200);
      }
    };
    await Promise.all([...Array.from({ length: 6 }, (_, writer) => call(writer)), chat(), chat()]);
    assert.deepEqual((await stack.stored(room)).sort(), sent.sort());
    await subscriber.received(sent.length);
    assert.deepEqual(subscriber.frames.map((f) => f.offset), sent.map((_, i) => i + 1));
    assert.deepEqual(subscriber.frames.map((f) => f.envelope.txn_id).sort(), sent);
    subscriber.close();
  });
}

test('an open transaction holds its own message only, and all users can send meanwhile', { timeout: HELD_MS + 120_000 }, async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(sidecars[0].url, room);
  const user = stack.user();
  const caller = await Caller.connect(stack, user);
  const held = busy(room, 'held');
  const assertHeld = async () => {
    for (const { url } of sidecars) {
      const { status, json } = await send(url, user, held);
      assert.deepEqual([status, json.code], [503, 'txn_in_progress']);
    }
  };
  const chatter = { begun: 0, done: 0 };
  try {
    await caller.query('begin isolation level repeatable read');
    const envelope = await caller.send(held);
    await assertHeld();
    const since = performance.now();
    const chat = async (send) => {
      while (performance.now() - since < HELD_MS || chatter.done < 500) {
        chatter.begun++;
        await send(busy(room));
        chatter.done++;
      }
    };
    const overHttp = ({ url }) => async (body, from) => assert.equal((await send(url, from, body)).status, 200);
    const fromSql = (body, from) => stack.sendFromSql(from, body);
    const byAnyUser = (way) => (body) => way(body, stack.user());
    const byTheSender = (way) => (body) => way(body, user);
    const ways = [...sidecars.map(overHttp), fromSql].flatMap((way) => [byAnyUser(way), byAnyUser(way), byAnyUser(way), byTheSender(way)]);
    await Promise.all(ways.map(chat));
    assert.equal(chatter.done, chatter.begun);
    await assertHeld();
    await subscriber.received(chatter.done);
    assert.ok(!(await stack.stored(room)).includes(held.txn_id), 'the transaction is still open');
    await caller.query('commit');
    await subscriber.received(chatter.done + 1);
    assert.deepEqual(subscriber.frames.map((f) => f.offset), Array.from({ length: chatter.done + 1 }, (_, i) => i + 1));
    assert.equal(subscriber.frames.at(-1).envelope.txn_id, held.txn_id, 'the held message is delivered after its commit');
    assert.equal((await send(sidecars[0].url, user, held)).text, envelope, 'a repeat returns the same envelope');
  } finally {
    await caller.end();
    subscriber.close();
  }
});

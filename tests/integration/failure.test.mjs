// Failures of Redis, Postgres and sidecars: which requests are refused meanwhile, that no message is lost or stored twice, and that
// everything recovers by itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { Load } from './load.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar({ SEALCAST_RELAY_DSN: `${stack.serviceDsn} application_name=relay` });
});
after(async () => {
  await sidecar.stop();
  await stack.close();
});

const readiness = async (url = sidecar.url) => (await request(`${url}/readyz`)).status;

function assertUnavailable(answer, code) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.code, code, answer.text);
  assert.ok(Number(answer.headers['retry-after']) >= 1, 'Retry-After');
}

async function untilAccepted(url, room) {
  return until('messages are accepted again', async () => {
    const answer = await send(url, stack.user(), message(room, 'again'));
    return answer.status === 200 && answer;
  });
}

// Exactly the acknowledged messages are stored, each once and with the answered envelope.
async function assertStoredExactly(room, acknowledged) {
  const rows = await stack.query('select txn_id, sealcast.envelope(m) as text from sealcast.messages m where stream_id = $1', [room]);
  const texts = new Map(rows.map((row) => [row.txn_id, row.text]));
  assert.equal(texts.size, rows.length, 'no message is stored twice');
  for (const [txnId, text] of acknowledged) assert.equal(texts.get(txnId), text, `stored as acknowledged: ${txnId}`);
  for (const txnId of texts.keys()) assert.ok(acknowledged.has(txnId), `acknowledged before it is stored: ${txnId}`);
}

function assertReceivedExactly(subscriber, acknowledged) {
  assert.deepEqual(subscriber.frames.map((f) => f.offset), Array.from({ length: acknowledged.size }, (_, i) => i + 1));
  assert.deepEqual(new Set(subscriber.frames.map((f) => f.envelope.txn_id)), new Set(acknowledged.keys()));
}

test('Redis stopped: messages get 503 and are not inserted, and are accepted again when Redis is back', async () => {
  const room = await stack.stream();
  const user = stack.user();
  const sealed = message(room, 'before');
  const original = await send(sidecar.url, user, sealed);
  assert.equal(original.status, 200);
  await stack.stop('redis', 'SIGTERM');

  assertUnavailable(await send(sidecar.url, stack.user(), message(room)), 'gate_unavailable');
  assertUnavailable(await send(sidecar.url, user, sealed), 'gate_unavailable');
  const fromSql = await stack.sendFromSql(stack.user(), message(room)).then(() => null, (error) => error);
  assert.equal(fromSql?.code, 'PT503');
  assert.match(fromSql.detail, /^gate_unavailable/);
  assert.match(fromSql.hint, /^\d+ ms/);
  assert.deepEqual(await stack.stored(room), [sealed.txn_id]);
  assert.deepEqual(await stack.query('select txn_id from sealcast.txn_keys where sender_id = $1', [user.id]), [{ txn_id: sealed.txn_id }]);
  await until('/readyz answers 503', async () => (await readiness()) === 503);
  assert.equal((await request(`${sidecar.url}/healthz`)).status, 200);
  assert.equal((await request(`${sidecar.url}/streams/${room}/messages`)).status, 200, 'reading works without the gate');

  await stack.startRedis();
  await untilAccepted(sidecar.url, room);
  await until('/readyz answers 200', async () => (await readiness()) === 200);
  // Redis has lost the txn_id, but Postgres still has it.
  const again = await send(sidecar.url, user, sealed);
  assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [200, original.text, 'true']);
  await stack.sendFromSql(stack.user(), message(room, 'from SQL'));
});

test('Redis frozen: messages get 503 within the gate timeout', async () => {
  const room = await stack.stream();
  await stack.signal('redis', 'SIGSTOP');
  try {
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(sidecar.url, stack.user(), message(room))));
    const elapsed = Date.now() - began;
    for (const answer of answers) assertUnavailable(answer, 'gate_unavailable');
    assert.ok(elapsed < 1500, `answered after ${elapsed} ms; the gate timeout is 250 ms`);
    const sqlBegan = Date.now();
    const fromSql = await stack.sendFromSql(stack.user(), message(room)).then(() => null, (error) => error);
    assert.equal(fromSql?.code, 'PT503');
    assert.ok(Date.now() - sqlBegan < 2000);
    assert.deepEqual(await stack.stored(room), []);
  } finally {
    await stack.signal('redis', 'SIGCONT');
  }
  await untilAccepted(sidecar.url, room);
});

test('Redis errors close the gate, but a flushed script is loaded again', async () => {
  const room = await stack.stream();
  assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  await stack.redis('script', 'flush');
  assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  const failures = {
    OOM: [['config', 'set', 'maxmemory', '1', 'maxmemory-policy', 'noeviction'], ['config', 'set', 'maxmemory', '256mb', 'maxmemory-policy', 'volatile-ttl']],
    READONLY: [['replicaof', '127.0.0.1', '1'], ['replicaof', 'no', 'one']],
  };
  for (const [, [begin, end]] of Object.entries(failures)) {
    await stack.redis(...begin);
    assertUnavailable(await send(sidecar.url, stack.user(), message(room)), 'gate_unavailable');
    await stack.redis(...end);
    await untilAccepted(sidecar.url, room);
  }
  assert.equal((await stack.stored(room)).length, 4);
});

for (const [name, signal] of [['fast', 'SIGINT'], ['immediate', 'SIGQUIT']]) {
  test(`Postgres restarted (${name}) under load: every acknowledged message is stored, and every retry succeeds`, { timeout: 120_000 }, async () => {
    const room = await stack.stream();
    const subscriber = await Subscriber.to(sidecar.url, room);
    const load = new Load(stack, room, [sidecar.url]);
    await until('messages flow', () => load.acknowledged.size > 200);
    await stack.stop('postgres', signal);
    await until('the sidecar answers database_unavailable', () => load.codes.has('503 database_unavailable'));
    assert.equal(await readiness(), 503);
    const before = load.acknowledged.size;
    await stack.startPostgres();
    await until('messages flow again', () => load.acknowledged.size > before + 200, 30_000);
    await load.stop();
    assert.deepEqual([...load.codes], ['503 database_unavailable']);
    await load.resend(sidecar.url);
    await assertStoredExactly(room, load.acknowledged);
    await subscriber.received(load.acknowledged.size, 30_000);
    assertReceivedExactly(subscriber, load.acknowledged);
    for (const text of load.acknowledged.values()) checkEnvelope(text, stack.keyring);
    await until('/readyz answers 200', async () => (await readiness()) === 200);
    subscriber.close();
  });
}

test("messages still arrive after the relay's connection is terminated", async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(sidecar.url, room);
  for (let round = 1; round <= 3; round++) {
    const killed = await stack.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service' and application_name = 'relay'",
    );
    assert.ok(killed.length >= 1, 'the relay had a connection');
    assert.equal((await send(sidecar.url, stack.user(), message(room, round))).status, 200);
    await stack.sendFromSql(stack.user(), message(room, 'from SQL'));
    await subscriber.received(2 * round);
    await until('the relay has a new connection', async () => (await stack.backends("application_name = 'relay'")).length >= 1);
  }
  assert.deepEqual(subscriber.frames.map((f) => f.offset), [1, 2, 3, 4, 5, 6]);
  subscriber.close();
});

test('all connections to Postgres terminated under load: no message is lost or stored twice', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(sidecar.url, room);
  const load = new Load(stack, room, [sidecar.url]);
  for (let round = 1; round <= 3; round++) {
    const before = load.acknowledged.size;
    await until('messages flow', () => load.acknowledged.size > before + 100);
    await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
  }
  const before = load.acknowledged.size;
  await until('messages flow', () => load.acknowledged.size > before + 100);
  await load.stop();
  await load.resend(sidecar.url);
  await assertStoredExactly(room, load.acknowledged);
  await subscriber.received(load.acknowledged.size);
  assertReceivedExactly(subscriber, load.acknowledged);
  subscriber.close();
});

test('a txn_id that an open transaction holds gets 503 txn_in_progress, and other messages pass', async () => {
  const room = await stack.stream();
  const user = stack.user();
  const held = message(room, 'held');
  const holder = await stack.connect();
  try {
    await holder.query('begin');
    await holder.query(
      "insert into sealcast.txn_keys (sender_id, txn_id, ts, message_id, sent_hash) values ($1, $2, 0, 0, '')",
      [user.id, held.txn_id],
    );
    let waiting = true;
    const answered = send(sidecar.url, user, held).finally(() => (waiting = false));
    let slowest = 0;
    let others = 0;
    while (waiting || others < 20) {
      const began = Date.now();
      const answer = await send(sidecar.url, stack.user(), message(room, 'another'));
      assert.equal(answer.status, 200, answer.text);
      slowest = Math.max(slowest, Date.now() - began);
      others++;
    }
    assertUnavailable(await answered, 'txn_in_progress');
    assert.ok(slowest < 1500, `another message waited ${slowest} ms`);
    const again = await send(sidecar.url, user, held);
    assertUnavailable(again, 'txn_in_progress');
    assert.equal((await stack.stored(room)).includes(held.txn_id), false);
    await holder.query('rollback');
    const free = await send(sidecar.url, user, held);
    assert.equal(free.status, 200, free.text);
    assert.equal(free.headers['idempotency-replayed'], undefined);
  } finally {
    await holder.end();
  }
});

test('keys rotate by reload under load, no message fails and every envelope verifies', { timeout: 120_000 }, async () => {
  const room = await stack.stream();
  const load = new Load(stack, room, [sidecar.url]);
  const flowing = async () => {
    const before = load.acknowledged.size;
    await until('messages flow', () => load.acknowledged.size > before + 100);
  };
  await flowing();
  await stack.addKey('k2');
  await stack.query('select pg_reload_conf()');
  await flowing();
  await stack.query("alter system set sealcast.signing_kid = 'k2'");
  await stack.query('select pg_reload_conf()');
  await until('k2 signs', () => [...load.acknowledged.values()].at(-1).startsWith('{"v":1,"kid":"k2"'));
  await flowing();
  await load.stop();
  assert.deepEqual(load.unacknowledged, []);
  const kids = new Set();
  for (const text of load.acknowledged.values()) kids.add(checkEnvelope(text, stack.keyring).kid);
  assert.deepEqual(kids, new Set(['k1', 'k2']));
  await assertStoredExactly(room, load.acknowledged);
  const invalid = await stack.query(
    'select from sealcast.messages m where stream_id = $1 and not sealcast.verify(sealcast.envelope(m)::json)',
    [room],
  );
  assert.deepEqual(invalid, []);
  await stack.query("alter system reset sealcast.signing_kid");
  await stack.query('select pg_reload_conf()');
});

test('after SIGTERM under load accepted requests are answered, acknowledged messages are stored, and the exit code is 0', { timeout: 120_000 }, async () => {
  const stopping = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const room = await stack.stream();
  const load = new Load(stack, room, [stopping.url], { workers: 32 });
  await until('messages flow', () => load.acknowledged.size > 300);
  await stopping.stop();
  await load.stop();
  // After SIGTERM connections are refused, or closed between requests. No answer is cut.
  for (const { status, code } of load.unacknowledged) {
    assert.ok(status === 503 || ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'socket hang up'].includes(code), `${status} ${code}`);
  }
  await assertStoredExactly(room, load.acknowledged);
});

test('after SIGTERM while Postgres is slow, requests under way are answered', { timeout: 60_000 }, async () => {
  const stopping = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const room = await stack.stream();
  const subscriber = await Subscriber.to(stopping.url, room);
  const connections = await Promise.all(Array.from({ length: 10 }, () => RawConnection.open(stopping.url)));
  const messages = connections.map((_, i) => message(room, i));
  await freeze(async () => {
    for (const [i, connection] of connections.entries()) {
      connection.write(rawRequest('/rpc/send_message', stack.user().headers, JSON.stringify(messages[i])));
    }
    await until('the requests wait for the database', async () => (await metric(stopping.url, passed)) >= 10);
    stopping.process.kill('SIGTERM');
    await until('the sidecar accepts no new connection', () => RawConnection.open(stopping.url).then((c) => c.close(), () => true));
  });
  const answers = await Promise.all(connections.map((connection) => connection.answer()));
  assert.deepEqual(answers.map((a) => a?.status), Array(10).fill(200));
  for (const connection of connections) assert.equal(await connection.answer(), null, 'the connection is closed after the answer');
  await stopping.ended();
  await assertStoredExactly(room, new Map(answers.map((a, i) => [messages[i].txn_id, a.text])));
  await until('the event stream is closed', () => !subscriber.open);
});

// Freezes the processes of Postgres that serve sidecars while `action` runs.
async function freeze(action) {
  const pids = await stack.backends();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    return await action();
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

test('messages over max_waiting get 503 overloaded at once, and the waiting ones are served', { timeout: 60_000 }, async () => {
  const [maxBatch, maxWaiting, sent] = [2, 4, 20];
  const small = await stack.sidecar({
    SEALCAST_GATE_SOCKET: '',
    SEALCAST_ADMISSION_LANES: '1',
    SEALCAST_ADMISSION_MAX_BATCH: String(maxBatch),
    SEALCAST_ADMISSION_MAX_WAITING: String(maxWaiting),
  });
  const room = await stack.stream();
  const early = [];
  let answers;
  await freeze(async () => {
    answers = Array.from({ length: sent }, async () => {
      const answer = await send(small.url, stack.user(), message(room));
      early.push(answer);
      return answer;
    });
    await until('the excess messages are refused', () => early.length >= sent - maxWaiting - maxBatch, 2000);
    for (const answer of early) assertUnavailable(answer, 'overloaded');
  });
  const served = (await Promise.all(answers)).filter((answer) => answer.status === 200).length;
  assert.ok(served >= maxWaiting && served <= maxWaiting + maxBatch, `${served} were served`);
  assert.equal((await stack.stored(room)).length, served);
  await small.stop();
});

const passed = 'sealcast_gate_checks_total{outcome="pass"}';
async function metric(url, name) {
  const { text } = await request(`${url}/metrics`);
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

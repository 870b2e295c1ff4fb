// Tests in real servers that each of these faults bites, that what does not need the faulty part goes on meanwhile, and
// that nothing of the fault stays.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Subscriber, message, request, send } from '../integration/http.mjs';
import { until } from '../integration/waiting.mjs';
import { enterNamespace } from './namespace.mjs';
import { GoneReaders } from './parts/gone_readers.mjs';
import { System } from './system.mjs';

enterNamespace(import.meta.url);

const ROOMS = 2;

let system;
before(async () => {
  system = await System.start(ROOMS);
});
after(() => system?.close());

// Each concerns the sidecar `a` and the first room.
const status = async (user = system.stack.user()) => (await send(system.urls[0], user, message(system.rooms[0]))).status;
const readStatus = async () => (await request(`${system.urls[0]}/streams/${system.rooms[0]}/messages`)).status;
const accepted = (user) => until('a message is accepted', async () => (await status(user)) === 200, 30_000);

const works = async () => {
  await accepted();
  await until('a page is read', async () => (await readStatus()) === 200);
  await until('a call is carried out', async () => (await system.moderators.call(system.urls[0], 'mute')).status === 204);
};

// Injects the fault and returns a function that removes it. A test that fails before that leaves no fault to the next one.
async function inject(t, fault, target) {
  const removeFault = await system.inject({ fault, target });
  let removed;
  const remove = () => (removed ??= removeFault());
  t.after(remove);
  return remove;
}

// Without the namespaces of root these faults cannot be injected.
const skippedWithout = (group, t) => system.impossible.has(group) && (t.skip(system.impossible.get(group)), true);

describe('with a single Redis', () => {
  test('hold-rows moderator: calls for the same user wait and get 503, messages and reads go on', async (t) => {
    const [url] = system.urls;
    assert.equal((await system.moderators.call(url, 'mute')).status, 204);
    const remove = await inject(t, 'hold-rows', 'moderator');
    const calls = ['mute', 'unmute', 'mute'].map((name) => system.moderators.call(url, name));
    let answered = 0;
    for (const call of calls) call.finally(() => ++answered);
    const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%call_as%'";
    await until('the calls wait', async () => (await system.stack.query(waiting)).length > 0);
    assert.deepEqual([await status(), await readStatus(), answered], [200, 200, 0]);
    for (const call of await Promise.all(calls)) assert.deepEqual([call.status, call.code], [503, 'database_unavailable']);
    await remove();
    assert.equal((await system.moderators.call(url, 'mute')).status, 204);
  });

  test('silence resolver: the broker is not found, and Postgres and Redis are back meanwhile', async (t) => {
    if (skippedWithout('network', t)) return;
    const { nameServer, broker, rooms: [room] } = system;
    const received = () => broker.frames.get(room).at(-1)?.offset ?? 0;
    const relayed = async () => (await system.stack.query('select coalesce(max("offset"), 0)::int as n from sealcast.stream_log where stream_id = $1', [room]))[0].n;
    await until('the broker has all messages', async () => received() === (await relayed()));
    const before = received();
    const remove = await inject(t, 'silence', 'resolver');
    await until('a sidecar asks for the broker in vain', () => nameServer.ignored > 0);
    await works();
    await until('the message is relayed', async () => (await relayed()) > before);
    assert.equal(received(), before, 'the broker gets nothing');
    await remove();
    await until('the broker gets the messages', async () => received() === (await relayed()), 30_000);
  });

  test('hang first-host-a: each connection waits for the first host, and the sidecar passes it', async (t) => {
    const remove = await inject(t, 'hang', 'first-host-a');
    await until('connections wait for the first host', () => system.firstHosts.get('a').waiting > 0);
    await works();
    await remove();
    await until('it closes them', () => system.firstHosts.get('a').waiting === 0);
    system.links.get('postgres-a').cut();
    await works();
  });

  test('vanish readers-a: the sidecar keeps their connections at first, serves all others, and then gives them up', async (t) => {
    if (skippedWithout('network', t)) return;
    const subscribers = () => system.metric('a', 'sealcast_sse_subscribers');
    const files = () => readdirSync(`/proc/${system.sidecars.get('a').process.pid}/fd`).length;
    const before = files();
    const remove = await inject(t, 'vanish', 'readers-a');
    assert.equal(await subscribers(), GoneReaders.COUNT);
    assert.ok(files() >= before + GoneReaders.COUNT);
    const reader = await Subscriber.to(system.urls[0], system.rooms[0]);
    assert.equal(await status(), 200);
    await reader.received(1);
    reader.close();
    await remove();
    assert.equal(await subscribers(), 0);
    await until('their sockets are closed', () => files() < before + 20);
  });

  test('fill log-a: the sidecar serves, and what it did not log is counted', async (t) => {
    const log = system.logs.get('a');
    const from = log.lines.length;
    const remove = await inject(t, 'fill', 'log-a');
    assert.ok(log.sent > 40, `${log.sent} warnings`);
    assert.deepEqual([await status(), await readStatus()], [200, 200]);
    const logged = () => log.lines.slice(from).map((line) => JSON.parse(line));
    assert.ok(logged().length < log.sent, 'nobody reads the pipe');
    await remove();
    const lost = (entries) => entries.filter((entry) => entry.message.startsWith('log lines were dropped')).reduce((sum, { count }) => sum + count, 0);
    const warnings = (entries) => entries.filter(({ notice }) => notice?.startsWith('loud')).length;
    await until('each warning is logged or counted', () => warnings(logged()) + lost(logged()) >= log.sent);
    assert.ok(lost(logged()) > 0, 'the buffer was full');
  });
});

// Every transport and the event handler have the newest message of the room.
async function everywhere() {
  const { broker, events, rooms: [room], stack, target } = system;
  const [{ text }] = await stack.query(`select sealcast.envelope(m) as text from sealcast.stream_log l join sealcast.messages m using (ts, message_id)
    where l.stream_id = $1 order by l."offset" desc limit 1`, [room]);
  const has = (frames) => frames.some(({ envelope }) => JSON.stringify(envelope) === text);
  await until('Redis Streams has it', async () => has(await target.frames(room)), 30_000);
  await until('MQTT has it', () => has(broker.frames.get(room)), 30_000);
  await until('each message has its effect', () => events.complete(), 60_000);
  for (const { times } of await events.effects()) assert.equal(times, 1);
}

describe('with a history that goes back', () => {
  for (const [fault, hasNewPrimary] of [['failover', true], ['point-in-time', false]]) {
    test(`${fault} postgres: the answered messages since then are lost, and all else goes on in a new epoch`, { timeout: 240_000 }, async (t) => {
      const { postgres, rooms: [room], stack, urls: [url] } = system;
      const [sender, kept, lost] = [stack.user(), message(room, 'kept'), message(room, 'lost')];
      const sent = async (body) => {
        const { status, headers } = await send(url, sender, body);
        return status === 200 && { replayed: headers['idempotency-replayed'] };
      };
      const reader = await Subscriber.to(url, room);
      await until('a message is accepted', () => sent(kept));
      const [epoch, primary, losses] = [await stack.logEpoch(), postgres.primary, postgres.losses.length];
      const remove = await inject(t, fault, 'postgres');
      assert.deepEqual(await sent(lost), { replayed: undefined });
      await until('a reader has the message that will be lost', () => reader.frames.some(({ envelope }) => envelope.d.content === 'lost'));
      await remove();
      assert.equal(postgres.primary !== primary, hasNewPrimary);
      assert.equal(postgres.losses.length, losses + 1);
      const stored = await stack.stored(room);
      assert.deepEqual([kept, lost].map(({ txn_id }) => stored.includes(txn_id)), [true, false]);
      await until('a new epoch has begun', async () => (await stack.logEpoch()) !== epoch);
      await until('the event stream of the old epoch ends', () => !reader.open);
      assert.deepEqual(await until('the lost message is sent again', () => sent(lost), 30_000), { replayed: undefined });
      assert.deepEqual(await sent(kept), { replayed: 'true' });
      await works();
      await everywhere();
      assert.equal((await stack.query("select from pg_stat_replication where state = 'streaming'")).length, 1, 'there is a standby again');
    });
  }

  test('older-dump redis-events: the events that Redis has lost are carried again by another leader', { timeout: 120_000 }, async (t) => {
    const { events, sidecars, stack } = system;
    await accepted();
    await everywhere();
    const remove = await inject(t, 'older-dump', 'redis-events');
    const before = await events.newest();
    await accepted();
    await until('Redis has the event', async () => `${await events.newest()}` !== `${before}`);
    // A leader that dies earlier leaves no record of the entry, and the next leader carries the event without noticing a loss.
    const owed = "select from sealcast.delivery_status where transport = 'redis_events' and owed > 0";
    await until('Postgres has recorded the event as delivered', async () => (await stack.query(owed)).length === 0);
    assert.equal(await events.complete(), false, 'the workers are slow');
    const [processes, id] = [[...sidecars.values()].map(({ process }) => process), await events.redis.text('info', 'server')];
    await remove();
    assert.notEqual(await events.redis.text('info', 'server'), id);
    assert.equal(processes.filter((one) => ![...sidecars.values()].some(({ process }) => process === one)).length, 1, 'one sidecar was killed');
    await until('the loss is logged', () => [...system.logs.values()].some(({ lines }) => lines.some((line) => line.includes('carrying them again'))));
    await works();
    await everywhere();
  });

  test('older-dump redis: the gate has forgotten a message, and Postgres has not', async (t) => {
    const { rooms: [room], stack, urls: [url] } = system;
    const [sender, body] = [stack.user(), message(room)];
    const known = () => stack.redis('keys', `*${sender.id}*`);
    const remove = await inject(t, 'older-dump', 'redis');
    assert.equal((await send(url, sender, body)).status, 200);
    assert.notEqual(await known(), '');
    await remove();
    assert.equal(await known(), '');
    const again = await until('the message is answered', async () => {
      const answer = await send(url, sender, body);
      return answer.status === 200 && answer;
    });
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.equal((await stack.stored(room)).filter((txn) => txn === body.txn_id).length, 1);
    await works();
  });
});

describe('with a Redis Cluster', () => {
  before(() => system.useRedis('cluster'));

  test('kill redis: the senders of the dead master are refused, until its replica has taken over', async (t) => {
    const [user] = system.regulars; // its slot is hit
    await accepted(user);
    const remove = await inject(t, 'kill', 'redis');
    await until('the user is refused', async () => (await status(user)) === 503);
    await accepted(user);
    await remove();
    await accepted(user);
    assert.equal(await system.redis.cluster.complete(system.redis.cluster.nodes), true);
  });

  test('move-slot redis: the users of the slot are redirected or refused, all others send, and the new master serves the slot', async (t) => {
    const [, user] = system.regulars;
    const { cluster } = system.redis;
    const { owner } = await cluster.ownerOf(`{${user.id}}`);
    const remove = await inject(t, 'move-slot', 'redis');
    // Redis answers TRYAGAIN to a command with several keys of this slot, until the slot has moved.
    assert.ok([200, 503].includes(await status(user)));
    assert.match(await owner.text('info', 'errorstats'), /errorstat_(ASK|TRYAGAIN)/);
    await accepted();
    await remove();
    assert.notEqual((await cluster.ownerOf(`{${user.id}}`)).owner, owner);
    await accepted(user);
  });
});

describe('with sentinels', () => {
  before(() => system.useRedis('sentinel'));

  for (const fault of ['kill', 'switch-over']) {
    test(`${fault} redis: messages go to the new master`, async (t) => {
      const { group } = system.redis;
      const old = await group.master();
      await accepted();
      const remove = await inject(t, fault, 'redis');
      if (fault === 'kill') await until('messages are refused', async () => (await status()) === 503);
      await until('there is a new master', async () => ![undefined, old].includes(await group.master()));
      await accepted();
      await remove();
      // A sentinel that learns late of the new master reconfigures the replicas once more.
      await until('all nodes are in step', () => group.inStep(), 30_000);
      await accepted();
    });
  }
});

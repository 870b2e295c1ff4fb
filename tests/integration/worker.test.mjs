// Workers under failures: killed and frozen workers, forged entries, and a Redis that loses its data. Each message has its effect
// once and in order.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { RedisTarget, fieldsOf } from './redis_target.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack;
before(async () => {
  plane = await EventPlane.create();
  stack = plane.stack;
});
afterEach(async () => {
  for (const worker of plane.workers.splice(0)) {
    worker.process.kill('SIGCONT');
    if (worker.running) await worker.stop();
  }
  await stack.query('delete from shop.broken');
});
after(() => plane?.close());

const users = (count) => Array.from({ length: count }, () => stack.user());
const deadLetters = (where = 'true') => stack.query(`select * from sealcast.event_dead_letters where ${where} order by failed_at`);
const hasLogged = (worker, tag, text) => worker.log.some((line) => line.includes(tag) && line.includes(text));

test('three workers share the partitions and apply each message once and in order', async () => {
  const workers = await Promise.all([plane.worker(), plane.worker(), plane.worker()]);
  await until('the workers share the partitions', async () => {
    const counts = await Promise.all(workers.map(({ holder }) => plane.partitionsOf(holder)));
    return Math.max(...counts) <= 2 && counts.reduce((a, b) => a + b) === 4;
  });
  const rooms = [await stack.stream(), await stack.stream()];
  const people = users(20);
  for (let round = 0; round < 5; round++) for (const room of rooms) await plane.say(room, people, ['a', 'b', 'c', 'd']);
  await plane.untilApplied();
  await plane.balances();
  await workers[0].stop();
  await until('its partitions are taken over', async () => (await plane.partitionsOf(workers[0].holder)) === 0);
  await plane.say(rooms[0], people, ['e', 'f']);
  await plane.untilApplied();
  await plane.balances();
  const answer = await fetch(`${workers[1].url}/metrics`).then((metrics) => metrics.text());
  assert.match(answer, /sealcast_worker_events_total\{handler="tally",outcome="applied"\} [1-9]/);
});

test('a group without a worker shows in the metrics, and its entries are not trimmed', async () => {
  const room = await stack.stream();
  await plane.say(room, users(10), Array.from({ length: 50 }, () => 'waits'));
  const metric = async (name) => {
    const text = await fetch(`${plane.sidecar.url}/metrics`).then((answer) => answer.text());
    return Number(text.match(new RegExp(`^${name}\\{group="default"\\} (.*)$`, 'm'))?.[1]);
  };
  await until('the metrics count the unread entries', async () => (await metric('sealcast_events_unread')) === 500 && (await metric('sealcast_events_oldest_seconds')) > 1);
  await plane.worker();
  await plane.untilApplied();
  await until('the group has caught up', async () => (await metric('sealcast_events_unread')) === 0 && (await metric('sealcast_events_pending')) === 0);
  await plane.balances();
});

test('when the epochs of leases went back in Postgres, the worker raises them above those in Redis', async () => {
  const worker = await plane.worker();
  const room = await stack.stream();
  await plane.say(room, users(5), ['before']);
  await plane.untilApplied();
  await stack.query('update sealcast_internal.event_leases set epoch = epoch - 1000000');
  await plane.say(room, users(5), ['after']);
  await plane.untilApplied({}, 15_000);
  await plane.balances();
  await until('the log says so', () => hasLogged(worker, '"level":"error"', 'Redis knows newer leases of event partitions than Postgres'));
});

test('entries that Redis loses while the leading sidecar changes are carried again', async () => {
  // Redis restarts from what SAVE wrote. The partitions are not trimmed, so a sidecar learns of their newest entries from Postgres alone.
  const own = await EventPlane.create({ SEALCAST_REDIS_EVENTS_TRIM_MS: '3600000' }, (at) => RedisTarget.start(at, ['--appendonly', 'no']));
  try {
    const room = await own.stack.stream();
    const people = Array.from({ length: 20 }, () => own.stack.user());
    const carried = (count) => until('Redis has the events', async () => ((await own.redis.events(4)).get(room) ?? []).length >= count);
    await own.say(room, people, ['saved']);
    await carried(20);
    const next = await own.stack.sidecar({ ...own.settings, SEALCAST_GATE_SOCKET: '' });
    // The next leader reads the newest entries once before the loss: a round has ended when the next one begins.
    const rounds = new Set();
    await until('the next leader has ended its first round', async () => {
      const pids = await own.stack.query(
        `select pid, query_start::text as began from pg_stat_activity
         where application_name like '%redis_events%' and query like '%event_partitions_state%' order by backend_start desc limit 1`,
      );
      for (const { pid, began } of pids) rounds.add(`${pid} ${began}`);
      return rounds.size >= 3;
    });
    await own.redis.command('save');
    await own.say(room, people, ['lost']);
    await carried(40);
    await until('everything is recorded as delivered', async () => {
      const [{ owed }] = await own.stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'");
      const recorded = await own.stack.query('select partition, last_ms, last_seq from sealcast_internal.event_partitions order by 1');
      const newest = await Promise.all(recorded.map(async ({ partition }) => (await own.redis.command('xrevrange', `sealcast:events:${partition}`, '+', '-', 'count', '1'))[0][0]));
      return owed === '0' && recorded.length === 4 && isDeepStrictEqual(newest, recorded.map(({ last_ms, last_seq }) => `${last_ms}-${last_seq}`));
    });
    own.sidecar.process.kill('SIGKILL');
    await own.sidecar.exited;
    own.sidecar = next;
    await own.redis.stop('SIGKILL');
    await own.redis.start();
    await own.say(room, people, ['after']);
    await own.worker();
    await own.untilApplied({}, 30_000);
    assert(hasLogged(next, '"level":"error"', 'Redis has lost entries'));
    for (const worker of own.workers) await worker.stop();
  } finally {
    await own.close();
  }
});

test('forged entries become dead letters, are logged as [SECURITY], and have no effect', async () => {
  const [room, [user, victim]] = [await stack.stream(), users(2)];
  await plane.say(room, [user], ['genuine']);
  const found = await until('a partition has the entry', async () => {
    for (let n = 0; n < 4; n++) {
      for (const [, fields] of await plane.redis.command('xrange', `sealcast:events:${n}`, '-', '+')) {
        const { frame } = fieldsOf(fields);
        if (frame.includes(room)) return { n, frame };
      }
    }
  });
  const forgeries = [
    found.frame.replace('genuine', 'forged'),
    found.frame.replace(user.id, victim.id),
    found.frame.replace('"t":"chat"', '"t":"announcement"'),
    found.frame.slice(0, -20),
    'no frame\xff\x00',
    '',
  ];
  for (const frame of forgeries) {
    await plane.redis.command('xadd', `sealcast:events:${found.n}`, '*', 'stream_id', room, 'offset', 'x', 'frame', frame.replaceAll('\x00', ' '));
  }
  const worker = await plane.worker();
  await until('each forgery is a dead letter', async () => (await deadLetters('handler is null')).length === forgeries.length);
  await until('the log has the reason', () => hasLogged(worker, '[SECURITY]', 'bad_signature') || hasLogged(worker, '[SECURITY]', 'malformed'));
  await plane.untilApplied();
  await plane.balances();
  await stack.query('select sealcast.drop_event_dead_letters(forged => true)');
});

test('sealcastd replay adds nothing while a group is far behind, and keeps its rate', async () => {
  const [room, people] = [await stack.stream(), users(20)];
  await plane.say(room, people, Array.from({ length: 250 }, () => 'x'));
  const entries = async () => {
    const lengths = await Promise.all([0, 1, 2, 3].map((n) => plane.redis.command('xlen', `sealcast:events:${n}`)));
    return lengths.reduce((a, b) => a + b);
  };
  await inRedis(room, 'x', 5000);
  const before = await entries();
  let ended = false;
  const replay = stack.replay(['--from', '1', '--stream', room, '--rate', '2000'], plane.settings).finally(() => (ended = true));
  await until('the replay is connected', async () => (await stack.backends("application_name = 'sealcastd, replay'")).length > 0);
  await plane.say(room, [people[0]], ['beside']);
  await inRedis(room, 'beside', 1);
  assert.equal(ended, false);
  assert.equal(await entries(), before + 1);
  const began = performance.now();
  await plane.worker();
  const { stdout, stderr } = await replay;
  assert.match(stderr, /^waiting: the group default has many unfinished entries/m);
  assert.match(stdout, /^500[01] of 500[01] messages/m);
  assert.ok(performance.now() - began > 2000, 'at 2,000 per second');
  await plane.untilApplied();
  await plane.balances();
});

test('when a worker is killed with its statements another one applies its events', async () => {
  const room = await stack.stream();
  const people = users(10);
  const first = await plane.worker();
  await until('the worker has all partitions', async () => (await plane.partitionsOf(first.holder)) === 4);
  const blocker = await stack.connect();
  try {
    await blocker.query('begin; lock table shop.tally in exclusive mode');
    await plane.say(room, people, Array.from({ length: 100 }, () => 'x'));
    const waiting = () => stack.backends("application_name = 'sealcastd, events of default' and wait_event_type = 'Lock'");
    const backends = await until('the lanes of the worker wait', async () => ((await waiting()).length === 2 ? waiting() : undefined));
    first.process.kill('SIGKILL');
    for (const pid of backends) await stack.query('select pg_terminate_backend($1)', [pid]);
  } finally {
    await blocker.end();
  }
  await plane.worker();
  await plane.untilApplied();
  await plane.balances();
});

test('a worker that freezes and wakes after a takeover changes nothing and keeps the order', async () => {
  const room = await stack.stream();
  const people = users(10);
  const frozen = await plane.worker();
  await until('the worker has all partitions', async () => (await plane.partitionsOf(frozen.holder)) === 4);
  await plane.say(room, people, Array.from({ length: 200 }, () => 'x'));
  frozen.process.kill('SIGSTOP');
  const second = await plane.worker();
  await until('the second worker has the partitions', async () => (await plane.partitionsOf(second.holder)) === 4);
  frozen.process.kill('SIGCONT');
  await plane.say(room, people, Array.from({ length: 100 }, () => 'y'));
  await plane.untilApplied();
  await plane.balances();
});

test('sealcastd replay gives a later handler the messages that it has missed', async () => {
  const [room, people] = [await stack.stream(), users(5)];
  await plane.say(room, people, ['a', 'b']);
  await plane.worker();
  await plane.untilApplied();
  await until('no effect of the late handler exists', async () => (await stack.query("select from sealcast.event_effects where handler = 'late'")).length === 0);
  await plane.register('late');
  try {
    const before = await stack.query('select count(*)::int from sealcast.messages');
    const { stdout } = await stack.replay(['--from', '2000-01-01'], plane.settings);
    assert.match(stdout, new RegExp(`^${before[0].count} of ${before[0].count} messages, \\d+ per second$`, 'm'));
    await until(
      'the late handler has every effect',
      async () => {
        const rows = await stack.query("select problem, count(*) from sealcast.check_effects('late', since => '2000-01-01') group by 1");
        if (rows.length > 0) throw new Error(JSON.stringify(rows));
        return true;
      },
      120_000,
    );
    const one = await stack.replay(['--from', '3', '--stream', room], plane.settings);
    assert.match(one.stdout, /^8 of 8 messages/m);
    await assert.rejects(stack.replay(['--from', '3'], plane.settings), /add --stream/);
    await assert.rejects(stack.replay(['--from', 'yesteryear'], plane.settings), /yesteryear/);
  } finally {
    // Two handlers have called the same function, so the counts are reset for the next tests.
    await stack.query("select sealcast.unregister_handler('late', true)");
    await stack.query('truncate shop.tally');
    await stack.query("delete from sealcast.event_effects where handler = 'tally'");
    await stack.replay(['--from', '2000-01-01'], plane.settings);
    await plane.untilApplied();
    await plane.balances();
  }
});

test('when Redis loses its data, unfinished messages are published again', async () => {
  const [room, people] = [await stack.stream(), users(10)];
  await plane.say(room, people, Array.from({ length: 100 }, () => 'x'));
  await until('every message is in Redis', async () => (await stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'"))[0].owed === '0');
  await plane.redis.command('flushall');
  await plane.worker();
  await plane.untilApplied();
  await plane.balances();
  assert(plane.sidecar.log.some((line) => line.includes('[DELIVERY]') && line.includes('carrying them again')));
});

test('when Redis is near its maxmemory it gets no more entries until workers have finished some', async () => {
  const [room, people] = [await stack.stream(), users(10)];
  const used = (await plane.redis.command('memory', 'stats'))['total.allocated'];
  await plane.redis.command('config', 'set', 'maxmemory', `${used + (8 << 20)}`);
  await plane.redis.command('config', 'set', 'maxmemory-policy', 'noeviction');
  const text = 'm'.repeat(8000);
  for (let i = 0; i < 20; i++) await plane.say(room, people, Array.from({ length: 10 }, () => text));
  await until('the transport waits for memory', () => plane.sidecar.log.some((line) => line.includes('of its maxmemory')));
  assert.notEqual((await stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'"))[0].owed, '0');
  await plane.worker();
  await plane.untilApplied({}, 90_000);
  await plane.balances();
  await plane.redis.command('config', 'set', 'maxmemory', '0');
});

// Waits until the partitions have this number of messages of the stream with this text.
const inRedis = (room, text, count) =>
  until(`${count} events in Redis`, async () => {
    let found = 0;
    for (let n = 0; n < 4; n++) {
      const entries = await plane.redis.command('xrange', `sealcast:events:${n}`, '-', '+');
      found += entries.map(([, fields]) => fieldsOf(fields).frame).filter((frame) => frame.includes(room) && frame.includes(text)).length;
    }
    return found === count;
  });

test('a worker passes the events of erased messages, before and after a replay, and applies all others in order', async () => {
  const [room, people] = [await stack.stream(), users(3)];
  await plane.say(room, people, ['a', 'erased', 'b']);
  await inRedis(room, 'erased', people.length);
  const gone = await stack.query("delete from sealcast.messages where stream_id = $1 and d like '%erased%' returning sender_id, txn_id", [room]);
  assert.equal(gone.length, people.length);
  const worker = await plane.worker();
  await plane.say(room, people, ['c']);
  await plane.untilApplied();
  await plane.balances();
  // Now the partitions get frames that say that the messages are gone.
  await stack.replay(['--from', '1', '--stream', room], plane.settings);
  await plane.say(room, people, ['d']);
  await plane.untilApplied();
  await plane.balances();
  assert.deepEqual(await deadLetters(), []);
  const effects = await stack.query('select from sealcast.event_effects e join unnest($1::uuid[]) t (txn_id) using (txn_id)', [gone.map(({ txn_id }) => txn_id)]);
  assert.deepEqual(effects, []);
  assert.ok(worker.running);
});

test('after a restore, the events of lost messages become dead letters, and each kept and each new message is applied once', async () => {
  const [room, people] = [await stack.stream(), users(3)];
  const first = await plane.worker();
  await plane.say(room, people, ['kept', 'kept too']);
  await plane.untilApplied();
  await first.stop();
  await plane.say(room, people, ['kept and not applied']);
  await inRedis(room, 'not applied', people.length);
  const file = await stack.dump();
  await plane.say(room, people, ['lost', 'lost too']);
  await inRedis(room, 'lost', 2 * people.length);
  await stack.restore(file);
  const begun = "select from sealcast.deliveries where transport = 'redis_events'";
  await until('the transport has begun', async () => (await stack.query(begun)).length === 4);
  const second = await plane.worker();
  await plane.say(room, people, ['new', 'new too']);
  await plane.untilApplied();
  await plane.balances();
  const lost = await until('each event of a lost message is a dead letter', async () => {
    const letters = await deadLetters();
    return letters.length === 2 * people.length && letters;
  });
  for (const { handler, reason } of lost) assert.deepEqual([handler, reason], [null, 'signed, but not a stored message']);
  await stack.query('select sealcast.drop_event_dead_letters(forged => true)');
  const [{ n }] = await stack.query('select sum(n)::int as n from shop.tally where stream_id = $1', [room]);
  assert.equal(n, 5 * people.length);
  assert.ok(second.running);
});

// Events that fail: they wait in Postgres, are retried, become dead letters and are replayed, and delay only their senders.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
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

test('an event that fails max_attempts times becomes a dead letter, delays only its sender, and can be replayed', async () => {
  const [room, [failingUser, other]] = [await stack.stream(), users(2)];
  await stack.query("insert into shop.broken values ('poison')");
  await plane.worker();
  await plane.say(room, [failingUser], ['before', 'poison', 'after']);
  await plane.say(room, [other], ['beside']);
  await plane.untilApplied({ dead: 1 });
  await plane.balances();
  const [letter] = await deadLetters();
  assert.deepEqual([letter.handler, letter.sender_id, letter.attempts], ['tally', failingUser.id, 3]);
  assert.match(letter.reason, /^it cannot take poison/);
  const [{ marked }] = await stack.query('select sealcast.replay_event_dead_letters() as marked');
  assert.equal(marked, '1');
  await until('the event fails again', async () => (await deadLetters())[0].attempts === 4);
  await stack.query('delete from shop.broken');
  await stack.query('select sealcast.replay_event_dead_letters()');
  await plane.untilApplied();
  const [{ n, total }] = await stack.query('select n::int, total::int from shop.tally where sender_id = $1', [failingUser.id]);
  assert.deepEqual([n, total], [3, 6]);
  // The replayed event came out of order, which the handler has counted.
  await stack.query('update shop.tally set disorder = 0 where sender_id = $1', [failingUser.id]);
});

test('a sender with thousands of failing events delays only itself, also after a crash, and loses none of them', async () => {
  const [room, [failingUser, other]] = [await stack.stream(), users(2)];
  await plane.register('tally', { attempts: null });
  await stack.query("insert into shop.broken values ('outage')");
  const first = await plane.worker();
  await plane.say(room, [failingUser], ['outage', ...Array.from({ length: 4000 }, (_, i) => (i % 2 ? 'outage' : 'behind'))]);
  await plane.say(room, [other], ['beside']);
  await plane.untilApplied({ failing: 4001 });
  first.process.kill('SIGKILL');
  await plane.worker();
  await plane.say(room, [failingUser, other], ['later']);
  await plane.untilApplied({ failing: 4002 });
  assert.deepEqual(await stack.query('select count(*)::int as n, count(due_at)::int as due from sealcast.event_attempts'), [{ n: 4002, due: 1 }]);
  await stack.query('delete from shop.broken; update sealcast.event_attempts set due_at = now() where due_at is not null');
  await plane.untilApplied();
  await plane.balances();
  assert.deepEqual(await stack.query('select * from sealcast.event_attempts'), []);
  await plane.register('tally');
});

test('thousands of dead letters are replayed without a pause, and a worker that is stopped meanwhile stops soon', async () => {
  const [room, people, sleepers] = [await stack.stream(), users(10), users(8)];
  await plane.register('tally', { attempts: 1, timeout: '1 s' });
  await stack.query("insert into shop.broken values ('poison'), ('slow')");
  const first = await plane.worker();
  await plane.say(room, people, Array.from({ length: 600 }, () => 'poison'));
  await plane.say(room, sleepers, ['slow']);
  await plane.untilApplied({ dead: 6008 });
  for (const { id } of sleepers) await stack.query('select sealcast.replay_event_dead_letters(sender_id => $1)', [id]);
  const slow = () => stack.backends("application_name = 'sealcastd, events of default' and wait_event = 'PgSleep'");
  await until('a letter is being retried', async () => (await slow()).length > 0);
  const began = performance.now();
  await first.stop();
  const stopped = Math.round(performance.now() - began);
  assert.ok(stopped < 6000, `the eight letters need nine seconds, and the worker stopped after ${stopped} ms`);
  await stack.query('delete from shop.broken');
  await stack.query('select sealcast.replay_event_dead_letters()');
  await plane.worker();
  await plane.untilApplied({}, 60_000);
  await plane.balances({ inOrder: false });
  await stack.query('update shop.tally set disorder = 0');
  await plane.register('tally');
});

test('a deadlock or a lost connection is not counted as a failed attempt of the event', async () => {
  const room = await stack.stream();
  await plane.register('tally', { attempts: 1 });
  await plane.worker();
  await plane.say(room, users(1), ['meets others']);
  await plane.untilApplied();
  await stack.query("insert into shop.broken values ('slow')");
  await plane.say(room, users(1), ['slow']);
  const busy = () => stack.backends("application_name = 'sealcastd, events of default' and wait_event = 'PgSleep'");
  const [pid] = await until('the event is being applied', async () => ((await busy()).length > 0 ? busy() : undefined));
  await stack.query('delete from shop.broken');
  await stack.query('select pg_terminate_backend($1)', [pid]);
  await plane.untilApplied();
  await plane.balances();
  assert.deepEqual(await deadLetters(), []);
  await plane.register('tally');
});

test('an event that exceeds the handler timeout is cancelled, becomes a dead letter, and delays the others only for a time', async () => {
  const [room, [sleeper, other]] = [await stack.stream(), users(2)];
  await stack.query("insert into shop.broken values ('slow')");
  await plane.register('tally', { timeout: '1 s' });
  await plane.worker();
  await plane.say(room, [sleeper], ['before', 'slow', 'after']);
  await plane.say(room, [other], ['beside']);
  await plane.untilApplied({ dead: 1 });
  await plane.balances();
  assert.match((await deadLetters())[0].reason, /longer than 1000 ms/);
  await plane.register('tally');
  await stack.query('select sealcast.drop_event_dead_letters()');
  await stack.query("insert into sealcast.event_effects (handler, sender_id, txn_id, ts) select 'tally', sender_id, txn_id, ts from sealcast.messages where d like '%slow%' on conflict do nothing");
  await stack.query("update shop.tally set n = 3, total = 6 where sender_id = $1", [sleeper.id]);
});

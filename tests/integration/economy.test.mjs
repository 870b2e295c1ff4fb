// The ledger under concurrency: no money is spent twice, no deadlocks occur, and a dump contains the whole ledger.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { dice } from './dice.mjs';
import { apply, audit, balances, deposit, installEconomy } from './economy.mjs';
import { message, send } from './http.mjs';
import { Database, admit, makeStreams } from './sql_database.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);
const NIL = '00000000-0000-0000-0000-000000000000';

let database;
let client;
before(async () => {
  database = await Database.create();
  client = await database.connect();
  await installEconomy(client);
  // Shorter than the lock timeout of admission, which would end a deadlock without a report.
  await client.query(`alter database ${database.name} set deadlock_timeout = '10ms'`);
});
after(() => database?.drop());

function shuffled(items, roll) {
  const left = [...items];
  return items.map(() => left.splice(roll(left.length), 1)[0]);
}

// Sends one item until its verdict is not 503: a batch that meets another transaction's lock gets 503 and changes nothing.
async function admitted(connection, item) {
  for (;;) {
    const [verdict] = await admit(connection, [item]);
    if (verdict.status !== 503) return verdict;
  }
}

// The sessions of a test, and their number of deadlocks, which Postgres counts when they end.
class Sessions {
  #open = [];

  async open() {
    const session = await database.connect();
    this.#open.push(session);
    return session;
  }

  async deadlocks() {
    const pids = this.#open.map((session) => session.processID);
    await Promise.all(this.#open.map((session) => session.end()));
    await until('the sessions have ended', async () =>
      (await client.query('select from pg_stat_activity where pid = any ($1)', [pids])).rowCount === 0);
    const { rows } = await client.query('select deadlocks from pg_stat_database where datname = current_database()');
    return Number(rows[0].deadlocks);
  }
}

test('concurrent workers, admission, deposits and payouts on few accounts keep the ledger balanced', { timeout: 120_000 }, async () => {
  const [stream] = await makeStreams(client, 1);
  const senders = Array.from({ length: 4 }, () => randomUUID());
  const creators = Array.from({ length: 3 }, () => randomUUID());
  for (const sender of senders) await deposit(client, sender, 1_000_000);
  const gift = (roll) => ({
    stream,
    t: 'gift',
    sender: senders[roll(senders.length)],
    txn: randomUUID(),
    d: { amount: 1 + roll(500), to: creators[roll(creators.length)] },
  });
  const first = dice(1);
  const earlier = Array.from({ length: 400 }, () => gift(first));
  for (let i = 0; i < earlier.length; i += 50) {
    const verdicts = await admit(client, earlier.slice(i, i + 50));
    assert(verdicts.every((verdict) => verdict.status === 200), JSON.stringify(verdicts[0]));
  }

  const sessions = new Sessions();
  // Four partitions, each read by two workers: one that is believed dead, and one that has taken over.
  const capture = async (worker) => {
    const roll = dice(100 + worker);
    const connection = await sessions.open();
    const mine = shuffled(earlier.filter((_, i) => i % 4 === worker % 4), dice(worker % 4));
    for (let i = 0; i < mine.length; i += 20) {
      await connection.query('begin');
      await apply(connection, 'gift_on_event', mine.slice(i, i + 20).map((item) => item.txn));
      await connection.query(roll(5) === 0 ? 'rollback' : 'commit');
    }
    await apply(connection, 'gift_on_event', mine.map((item) => item.txn));
  };
  const later = [];
  const give = async (seed) => {
    const roll = dice(seed);
    const connection = await sessions.open();
    for (let i = 0; i < 15; ++i) {
      const items = Array.from({ length: 8 }, () => gift(roll));
      const verdicts = await admit(connection, items);
      for (const [at, verdict] of verdicts.entries()) {
        const end = verdict.status === 503 ? await admitted(connection, items[at]) : verdict;
        assert.equal(end.status, 200, end.message);
        later.push(items[at]);
      }
    }
  };
  let paidIn = 0;
  let paidOut = 0;
  const move = async () => {
    const connection = await sessions.open();
    const roll = dice(7);
    for (let i = 0; i < 60; ++i) {
      await deposit(connection, senders[roll(senders.length)], 10);
      paidIn += 10;
      await connection
        .query("select sealcast_economy.withdraw($1, 25, 'USD', $2)", [creators[roll(creators.length)], randomUUID()])
        .then(() => (paidOut += 25), (error) => assert.equal(error.code, 'PT402', error.message));
    }
  };
  await Promise.all([...Array.from({ length: 8 }, (_, i) => capture(i)), give(50), give(51), give(52), move()]);
  await apply(client, 'gift_on_event', later.map((item) => item.txn));

  assert.equal(await sessions.deadlocks(), 0, 'there was no deadlock');
  const found = await balances(client);
  const gifts = [...earlier, ...later];
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const fee = (amount) => Math.floor((amount * 3000) / 10000);
  assert.equal(found[`platform ${NIL}`], sum(gifts.map((item) => fee(item.d.amount))));
  assert.equal(sum(senders.map((user) => found[`wallet ${user}`])), 4_000_000 + paidIn - sum(gifts.map((item) => item.d.amount)));
  assert.equal(sum(creators.map((user) => found[`earnings ${user}`])), sum(gifts.map((item) => item.d.amount - fee(item.d.amount))) - paidOut);
  assert.equal(found[`outside ${NIL}`], -(4_000_000 + paidIn - paidOut));
  assert.deepEqual(Object.keys(found).filter((account) => account.startsWith('hold')), []);
  assert.deepEqual((await audit(client)).filter((row) => /^(transfer|balance|gift)$/.test(row.what)), []);
});

// All events of a sender go to one worker, since the partitions are by sender. But a late event is applied by another worker.
const shares = {
  'its own senders': ({ senders }, item) => senders.indexOf(item.sender) % 4,
  'the same senders': ({ sent }, item) => sent.indexOf(item) % 4,
};
for (const [what, workerOf] of Object.entries(shares)) {
  test(`counts and XP are right when each worker applies events of ${what} in any order`, { timeout: 120_000 }, async () => {
    const streams = await makeStreams(client, 30);
    const roll = dice(3);
    const senders = Array.from({ length: 12 }, () => randomUUID());
    const sent = Array.from({ length: 4000 }, () => ({ stream: streams[roll(30)], sender: senders[roll(12)], txn: randomUUID() }));
    for (let i = 0; i < sent.length; i += 200) await admit(client, sent.slice(i, i + 200));
    const sessions = new Sessions();
    await Promise.all([0, 1, 2, 3].map(async (worker) => {
      const connection = await sessions.open();
      const mine = shuffled(sent.filter((item) => workerOf({ senders, sent }, item) === worker), dice(worker));
      for (let i = 0; i < mine.length; i += 50) {
        await connection.query('begin');
        const txns = mine.slice(i, i + 50).map((item) => item.txn);
        await apply(connection, 'xp_on_events', txns);
        await apply(connection, 'aggregates_on_events', txns);
        await connection.query('commit');
      }
    }));
    assert.equal(await sessions.deadlocks(), 0, 'there was no deadlock');
    const ids = [...senders, ...streams];
    assert.deepEqual((await audit(client)).filter((row) => ids.some((id) => row.subject.includes(id))), []);
  });
}

test('repeated batches have their effect once, and only the unpaid gift fails', { timeout: 120_000 }, async () => {
  const [stream] = await makeStreams(client, 1);
  const roll = dice(5);
  const senders = Array.from({ length: 9 }, () => randomUUID());
  for (const sender of senders) await deposit(client, sender, 100_000);
  const unpaid = { stream, t: 'gift', sender: randomUUID(), txn: randomUUID(), d: { amount: 5, to: senders[0] } };
  const hook = "update sealcast.message_types set admit_hook = $1::regprocedure, tier0_amount = null where t = 'gift'";
  await client.query(hook, [null]);
  const envelopes = [[unpaid.sender, (await admit(client, [unpaid]))[0].envelope]];
  await client.query(hook, ['sealcast_economy.gift_hook(uuid, uuid, text, uuid, json)']);
  for (let i = 0; i < 12; ++i) {
    const items = Array.from({ length: 100 }, () => {
      const sender = senders[roll(9)];
      const to = senders.find((other) => other !== sender);
      return { stream, sender, txn: randomUUID(), ...(roll(4) === 0 ? { t: 'gift', d: { amount: 1 + roll(50), to } } : { d: { n: 1 } }) };
    });
    const verdicts = await admit(client, items);
    assert(verdicts.every((verdict) => verdict.status === 200), JSON.stringify(verdicts));
    envelopes.push(...verdicts.map((verdict, at) => [items[at].sender, verdict.envelope]));
  }
  const sessions = new Sessions();
  const outcomes = new Map();
  const { rows: leases } = await client.query("select partition, epoch from sealcast_internal.claim_partitions('default', 'test', 600000, 3)");
  await Promise.all(leases.map(async ({ partition, epoch }) => {
    const connection = await sessions.open();
    const mine = envelopes.filter(([sender]) => (senders.indexOf(sender) + 3) % 3 === partition).map(([, envelope]) => envelope);
    for (let i = 0; i < mine.length; i += 40) {
      // Half of each batch is repeated in the next one.
      const batch = mine.slice(Math.max(0, i - 20), i + 40);
      for (const handler of ['xp', 'gifts', 'aggregates']) {
        const { rows } = await connection.query("select * from sealcast_internal.apply_events('default', $1, $2, $3, $4, $5, $6)", [
          handler, partition, epoch, batch, batch.map((_, at) => at + 1), batch.map((_, at) => `${at}-0`),
        ]);
        assert.equal(rows.length, batch.length);
        for (const { outcome } of rows) outcomes.set(`${handler} ${outcome}`, (outcomes.get(`${handler} ${outcome}`) ?? 0) + 1);
      }
    }
  }));
  assert.equal(await sessions.deadlocks(), 0, 'there was no deadlock');
  const gifts = envelopes.filter(([, envelope]) => JSON.parse(envelope).t === 'gift').length;
  assert.equal(outcomes.get('xp applied'), envelopes.length);
  assert.equal(outcomes.get('aggregates applied'), envelopes.length);
  assert.equal(outcomes.get('gifts applied'), gifts - 1);
  assert.equal(outcomes.get('gifts failed'), 1, 'the unpaid gift fails, and the others are applied');
  const ids = [stream, ...senders, unpaid.sender];
  const found = (await audit(client)).filter((row) => ids.some((id) => row.subject.includes(id)));
  assert.deepEqual(found.map((row) => [row.what, row.subject, row.found]), [['gift', `${unpaid.sender} ${unpaid.txn}`, 'nothing']]);
});

test('a restored dump has the ledger with its balances, XP and aggregates', { timeout: 120_000 }, async () => {
  const original = await Database.create();
  const copy = await Database.create({ extension: false });
  const directory = mkdtempSync(join(tmpdir(), 'sealcast-dump-'));
  try {
    const source = await original.connect();
    await installEconomy(source);
    const [stream] = await makeStreams(source, 1);
    const [sender, creator] = [randomUUID(), randomUUID()];
    await deposit(source, sender, 1000);
    const items = [300, 50].map((amount) => ({ stream, t: 'gift', sender, txn: randomUUID(), d: { amount, to: creator } }));
    await admit(source, items);
    await apply(source, 'gift_on_event', [items[0].txn]);
    for (const handler of ['xp_on_events', 'aggregates_on_events']) await apply(source, handler, items.map((item) => item.txn));
    const expected = { [`wallet ${sender}`]: 650, [`earnings ${creator}`]: 210, [`hold ${sender}`]: 50, [`platform ${NIL}`]: 90, [`outside ${NIL}`]: -1000 };
    assert.deepEqual(await balances(source), expected);

    const target = await copy.connect();
    await target.query('create extension sealcast');
    const file = join(directory, 'dump');
    await run('pg_dump', ['--format=custom', `--file=${file}`, original.name]);
    const { stderr } = await run('pg_restore', ['--exit-on-error', `--dbname=${copy.name}`, file]);
    assert.equal(stderr, '');
    assert.deepEqual(await balances(target), expected);
    assert.deepEqual((await audit(target)).map((row) => [row.what, row.subject]), [['gift', `${sender} ${items[1].txn}`]], 'one gift is still held');
    for (const table of ['currencies', 'xp_rules', 'xp', 'xp_days', 'accounts', 'transfers', 'entries', 'holds', 'stream_minutes', 'chatters']) {
      const sql = `select to_jsonb(x)::text as row from sealcast_economy.${table} x order by 1`;
      const { rows } = await source.query(sql);
      assert(rows.length > 0, table);
      assert.deepEqual((await target.query(sql)).rows, rows, table);
    }
    await apply(target, 'gift_on_event', items.map((item) => item.txn));
    await deposit(target, sender, 1);
    assert.deepEqual(await audit(target), [], 'the restored ledger works');
  } finally {
    rmSync(directory, { recursive: true });
    await Promise.all([original.drop(), copy.drop()]);
  }
});

test('money for N gifts buys exactly N of 2N concurrent gifts over HTTP', { timeout: 180_000 }, async () => {
  const stack = await PrivateStack.create();
  try {
    const superuser = await stack.connect();
    await installEconomy(superuser);
    await superuser.query("update sealcast.message_types set rate = 1000 where t = 'gift'");
    const sidecars = [await stack.sidecar(), await stack.sidecar({ SEALCAST_GATE_SOCKET: '' })];
    const stream = await stack.stream();
    const sender = stack.user();
    const creator = stack.user();
    const n = 40;
    await deposit(superuser, sender.id, n * 5);

    // A 503 means that the sender's other gift held the lock for too long, so the same message is sent again.
    const sendUntilDecided = async (url, body) => {
      for (;;) {
        const answer = await send(url, sender, body);
        if (answer.status !== 503) return answer;
        assert.equal(answer.json.code, 'txn_in_progress', answer.text);
      }
    };
    const bodies = Array.from({ length: 2 * n }, () => message(stream, null, { t: 'gift', d: { amount: 5, to: creator.id } }));
    const answers = await Promise.all(bodies.map((body, i) => sendUntilDecided(sidecars[i % 2].url, body)));
    const paid = bodies.filter((_, i) => answers[i].status === 200);
    assert.equal(paid.length, n);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      assert.equal(answer.status, 402, answer.text);
      assert.equal(answer.json.code, 'insufficient_funds');
    }
    // Repeats of all messages at the other sidecar get the same answers, and no gift is paid twice.
    const repeats = await Promise.all(bodies.map((body, i) => sendUntilDecided(sidecars[(i + 1) % 2].url, body)));
    assert.deepEqual(repeats.map(({ status }) => status), answers.map(({ status }) => status));
    assert.deepEqual(await balances(superuser), { [`hold ${sender.id}`]: n * 5, [`outside ${NIL}`]: -n * 5 });

    // SQL refuses in the same way.
    const error = await stack.sendFromSql(sender, { ...bodies[0], txn_id: randomUUID() }).then(() => assert.fail('admitted'), (e) => e);
    assert.deepEqual([error.code, error.detail], ['PT402', 'insufficient_funds']);
    // After a deposit the refused message is sent again with the same txn_id.
    await deposit(superuser, sender.id, 5);
    const refused = bodies.find((_, i) => answers[i].status === 402);
    assert.equal((await sendUntilDecided(sidecars[0].url, refused)).status, 200);

    await apply(superuser, 'gift_on_event', [...paid, refused].map((body) => body.txn_id));
    assert.deepEqual(await balances(superuser), {
      [`earnings ${creator.id}`]: (n + 1) * 4,
      [`platform ${NIL}`]: n + 1,
      [`outside ${NIL}`]: -(n + 1) * 5,
    });
    assert.deepEqual((await audit(superuser)).filter((row) => /^(transfer|balance|gift)$/.test(row.what)), []);
    for (const sidecar of sidecars) await sidecar.stop();
    await superuser.end();
  } finally {
    await stack.close();
  }
});

// A database that answers and cannot do its work: without a partition, locked, read-only, full, or without a leader. What the answers,
// /readyz, the lag metric and sealcast.health say meanwhile, and that everything recovers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar, room;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  room = await stack.stream();
});
after(async () => {
  await sidecar.stop();
  await stack.close();
});

const checks = async (url = sidecar.url) => {
  const { status, json } = await request(`${url}/readyz`);
  assert.equal(status, json.ready ? 200 : 503);
  return json.checks;
};
const untilReady = (url = sidecar.url) => until('/readyz answers 200', async () => (await request(`${url}/readyz`)).status === 200);

async function gauge(name, url = sidecar.url) {
  const { text } = await request(`${url}/metrics`);
  return Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))[1]);
}
const lag = (url) => gauge('sealcast_relay_lag_seconds', url);
const lagOf = async () => (await stack.query("select max(value)::float8 as lag from sealcast.health where name = 'relay_lag_seconds'"))[0].lag;
const sendOne = (url = sidecar.url) => send(url, stack.user(), message(room));

async function assertRefused(code, url) {
  const answer = await sendOne(url);
  assert.deepEqual([answer.status, answer.json.code], [503, code], answer.text);
  assert.ok(Number(answer.headers['retry-after']) >= 1, 'Retry-After');
  return answer.json;
}

// Detaches the partitions of today and later days; resolves with a function that drops them and makes new ones. The end of the test `t`
// calls it too.
async function withoutPartitions(t, parent) {
  const days = await stack.query(`select partition::text as name from sealcast_internal.partitions($1) where day >= (now() at time zone 'UTC')::date`, [parent]);
  for (const { name } of days) await stack.query(`alter table ${parent} detach partition ${name}`);
  const repair = async () => {
    for (const { name } of days.splice(0)) await stack.query(`drop table ${name}`);
    await stack.query('select sealcast.maintain()');
  };
  t.after(repair);
  return repair;
}

test('without a partition for today messages get 503 no_partition, /readyz names the table, and both recover after maintain()', async (t) => {
  assert.equal((await sendOne()).status, 200);
  const repair = await withoutPartitions(t, 'sealcast.messages');
  const { details } = await assertRefused('no_partition');
  assert.match(details, /sealcast\.maintain\(\)/);
  const fromSql = await stack.sendFromSql(stack.user(), message(room)).then(() => null, (error) => error);
  assert.equal(fromSql?.code, 'PT503');
  assert.match(fromSql.detail, /^no_partition: /);
  assert.match(fromSql.hint, /^1000 ms/);
  const { partitions } = await until('/readyz is not ready', async () => {
    const all = await checks();
    return all.partitions !== 'ok' && all;
  });
  assert.match(partitions, /of sealcast\.messages: run .*maintain/);
  assert.match((await request(`${sidecar.url}/metrics`)).text, /^sealcast_messages_total\{code="no_partition"\} 1$/m);
  await repair();
  assert.equal((await sendOne()).status, 200);
  await untilReady();
});

test('without a partition for offsets messages wait for the relay, and /readyz and the lag show it', async (t) => {
  const repair = await withoutPartitions(t, 'sealcast.stream_runs');
  assert.equal((await sendOne()).status, 200);
  await until('/readyz names the table', async () => /of sealcast\.stream_runs: run/.test((await checks()).partitions));
  await until('the lag grows', async () => (await lag()) > 2);
  await repair();
  await until('the lag is 0', async () => (await lag()) === 0);
  await untilReady();
});

test('while stream_runs is locked the lag grows and sealcast.health answers, and afterwards the lag is 0', async () => {
  const holder = await stack.connect();
  try {
    await holder.query('begin; lock table sealcast.stream_runs');
    assert.equal((await sendOne()).status, 200);
    const began = Date.now();
    await until('the lag grows', async () => (await lag()) > 3);
    assert.ok((await lag()) <= (Date.now() - began) / 1000 + 3, 'the lag is no older than the message');
    assert.equal(await gauge('sealcast_relay_lag_age_seconds'), 0);
    const asked = Date.now();
    assert.ok((await lagOf()) > 3);
    assert.ok(Date.now() - asked < 2000, 'sealcast.health does not wait for the lock');
  } finally {
    await holder.end();
  }
  await until('the lag is 0', async () => (await lag()) === 0);
  assert.equal(await lagOf(), 0);
});

test('while the outbox is locked the lag is unknown and grows, and sealcast.health has a row without a value', async () => {
  const holder = await stack.connect();
  try {
    await holder.query('begin; lock table sealcast_internal.outbox');
    await until('the lag grows', async () => (await lag()) > 2);
    assert.ok((await gauge('sealcast_relay_lag_age_seconds')) > 2);
    const rows = await stack.query("select name, value, ok from sealcast.health where name = 'relay'");
    assert.deepEqual(rows, [{ name: 'relay', value: null, ok: null }]);
    const [held] = await stack.query("select value > 0 as held, detail from sealcast.health where name = 'outbox_held_seconds'");
    assert.ok(held === undefined || held.held);
  } finally {
    await holder.end();
  }
  await until('the lag is 0', async () => (await lag()) === 0);
});

test('while Postgres does not answer the lag grows, and its age says that it is unknown', async () => {
  const pids = await stack.backends();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    await until('the lag grows', async () => (await lag()) > 3);
    assert.ok((await gauge('sealcast_relay_lag_age_seconds')) > 3);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
  await until('the lag is known', async () => (await gauge('sealcast_relay_lag_age_seconds')) === 0);
  await until('the lag is 0', async () => (await lag()) === 0);
  await untilReady();
});

test('a transaction that holds the outbox is named by sealcast.health', async () => {
  const holder = await stack.connect({ application_name: 'holder of the outbox' });
  try {
    const [{ pid }] = (await holder.query('select pg_backend_pid() as pid')).rows;
    await holder.query("begin; set local role sealcast_user");
    const user = stack.user();
    await holder.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(user.claims)]);
    const { stream_id, t, d, txn_id } = message(room);
    await holder.query('select sealcast.send_message($1, $2, $3, $4)', [stream_id, t, JSON.stringify(d), txn_id]);
    const [{ detail }] = await stack.query("select detail from sealcast.health where name = 'outbox_held_seconds'");
    assert.match(detail, new RegExp(`^pid ${pid}, application_name 'holder of the outbox', idle in transaction`));
  } finally {
    await holder.end();
  }
});

test('when nobody leads, a sidecar without its relay shows the lag, and 0 after another one has relayed', async () => {
  await sidecar.stop();
  const lone = await stack.launch({ SEALCAST_RELAY_DSN: stack.serviceDsn.replace(/dbname=\S+/, 'dbname=nowhere') });
  await until('messages are accepted', async () => (await sendOne(lone.url)).status === 200);
  await until('the lag grows', async () => (await lag(lone.url)) > 2);
  assert.notEqual((await checks(lone.url)).relay, 'ok');
  const shards = await stack.query("select ok, detail from sealcast.health where name = 'relay_lease_seconds'");
  assert.deepEqual(shards, Array(4).fill({ ok: false, detail: 'no sidecar leads the shard' }));
  sidecar = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  await until('the lag is 0', async () => (await lag(lone.url)) === 0);
  const [lease] = await stack.query("select ok, detail from sealcast.health where name = 'relay_lease_seconds' and subject = '0'");
  assert.ok(lease.ok && lease.detail.startsWith(sidecar.holder), lease.detail);
  await lone.stop();
});

test('a full disk gives 503 database_full, and /readyz says so until a message is stored again', async (t) => {
  t.after(() => stack.query('alter table sealcast.txn_keys drop constraint if exists no_room'));
  await stack.query(`create function public.disk_is_full() returns boolean language plpgsql as 'begin raise disk_full using message = ''could not extend file''; end'`);
  await stack.query('alter table sealcast.txn_keys add constraint no_room check (public.disk_is_full()) not valid');
  const refused = message(room);
  const user = stack.user();
  const began = Date.now();
  const answer = await send(sidecar.url, user, refused);
  assert.deepEqual([answer.status, answer.json.code, answer.json.details], [503, 'database_full', 'Nothing was inserted.']);
  assert.ok(Date.now() - began < 2000, 'the answer does not wait for the timeout');
  assert.match((await checks()).postgres, /disk .* is full/);
  await stack.query('alter table sealcast.txn_keys drop constraint no_room');
  assert.equal((await send(sidecar.url, user, refused)).status, 200);
  assert.equal((await checks()).postgres, 'ok');
});

// Calls send_message() on a connection of its own; resolves with the error.
async function errorFromSql(options, begin = 'begin') {
  const client = await stack.connect(options);
  try {
    await client.query(`${begin}; set local role sealcast_user`);
    await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(stack.user().claims)]);
    const { stream_id, t, d, txn_id } = message(room);
    return await client.query('select sealcast.send_message($1, $2, $3, $4)', [stream_id, t, JSON.stringify(d), txn_id]).then(() => null, (error) => error);
  } finally {
    await client.end();
  }
}

test('with default_transaction_read_only send_message() is refused as 503; in a transaction that is read-only by itself it is an error', async () => {
  const refusal = await errorFromSql({ options: '-c default_transaction_read_only=on' });
  assert.deepEqual([refusal?.code, refusal?.detail], ['PT503', 'database_read_only: Nothing was inserted.']);
  assert.match(refusal.hint, /^1000 ms/);
  assert.equal((await errorFromSql({}, 'begin read only'))?.code, '25006');
  await stack.query('alter system set default_transaction_read_only = on');
  await stack.query('select pg_reload_conf()');
  try {
    assert.equal((await sendOne()).status, 200, 'the sidecar replaces the setting');
    assert.equal((await checks()).writable, 'ok');
  } finally {
    await stack.query('alter system reset default_transaction_read_only');
    await stack.query('select pg_reload_conf()');
  }
});

test('a standby gives 503 database_read_only, /readyz says so, and both recover after its promotion', { timeout: 120_000 }, async () => {
  const standby = await stack.standby();
  const own = await stack.launch({ SEALCAST_POSTGRES_DSN: standby.serviceDsn, SEALCAST_POSTGRES_TIMEOUT_MS: '1000', SEALCAST_GATE_SOCKET: '' });
  await until('/readyz says that the database is read-only', async () => /read-only: it is a standby/.test((await checks(own.url)).writable));
  const { details } = await assertRefused('database_read_only', own.url);
  assert.equal(details, 'Nothing was inserted.');
  assert.equal((await errorFromSql(standby.postgres))?.code, 'PT503');
  const reader = await stack.connect(standby.postgres);
  try {
    const { rows } = await reader.query("select ok, detail from sealcast.health where name = 'read_only'");
    assert.deepEqual(rows, [{ ok: false, detail: 'this server is a standby' }]);
    await reader.query('select pg_promote()');
    await until('messages are accepted', async () => (await sendOne(own.url)).status === 200, 30_000);
    await untilReady(own.url);
    await until('the lag is 0', async () => (await lag(own.url)) === 0);
  } finally {
    await reader.end();
    await own.stop();
    await standby.stop();
  }
});

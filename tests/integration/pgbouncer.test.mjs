// The sidecar's pooled connections go through PgBouncer in transaction mode; the relay connects directly.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { Load } from './load.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar, port, pooler;

async function startPooler() {
  pooler = stack.spawn(['pgbouncer', join(stack.directory, 'pgbouncer.ini')]);
  await until('PgBouncer answers', async () => {
    const client = await stack.connect({ host: '127.0.0.1', port, user: 'sealcast_service' });
    await client.query('select 1');
    await client.end();
    return true;
  });
}

before(async () => {
  stack = await PrivateStack.create();
  port = await freePort();
  const { host, port: serverPort, database } = stack.postgres;
  writeFileSync(
    join(stack.directory, 'pgbouncer.ini'),
    `[databases]
${database} = host=${host} port=${serverPort} dbname=${database} user=sealcast_service
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_reset_query_always = 1
admin_users = sealcast_service
`,
    { mode: 0o644 },
  );
  await startPooler();
  sidecar = await stack.sidecar({
    SEALCAST_POSTGRES_DSN: `host=127.0.0.1 port=${port} dbname=${database} user=sealcast_service`,
    SEALCAST_RELAY_DSN: `${stack.serviceDsn} application_name=relay`,
  });
});
after(async () => {
  await sidecar.stop();
  await stack.close();
});

test('messages, events, history and verify work through PgBouncer', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(sidecar.url, room, { lastEventId: 0 });
  const load = new Load(stack, room, [sidecar.url]);
  await until('messages flow', () => load.acknowledged.size > 500);
  await load.stop();
  assert.deepEqual(load.unacknowledged, []);
  await subscriber.received(load.acknowledged.size);
  assert.deepEqual(new Set(await stack.stored(room)), new Set(load.acknowledged.keys()));
  const [text] = load.acknowledged.values();
  checkEnvelope(text, stack.keyring);
  assert.deepEqual((await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: text })).json, { result: 'ok' });
  const resumed = await Subscriber.to(sidecar.url, room, { lastEventId: 0 });
  await resumed.received(load.acknowledged.size);
  assert.equal((await request(`${sidecar.url}/streams/${room}/messages?limit=10`)).status, 200);
  subscriber.close();
  resumed.close();
});

test('the pooled connections go through PgBouncer, and the relay does not', async () => {
  const admin = await stack.connect({ host: '127.0.0.1', port, user: 'sealcast_service', database: 'pgbouncer' });
  const { rows } = await admin.query({ text: 'show clients', queryMode: 'simple' });
  await admin.end();
  assert.ok(rows.filter((row) => row.database === stack.postgres.database).length >= 2, JSON.stringify(rows));
  const direct = await stack.backends("application_name = 'relay'");
  assert.ok(direct.length >= 1);
});

test('after a restart of PgBouncer under load no message is lost or stored twice', { timeout: 60_000 }, async () => {
  const room = await stack.stream();
  const load = new Load(stack, room, [sidecar.url]);
  await until('messages flow', () => load.acknowledged.size > 200);
  pooler.kill('SIGKILL');
  await until('the sidecar notices', () => load.codes.has('503 database_unavailable'));
  const before = load.acknowledged.size;
  await startPooler();
  await until('messages flow again', () => load.acknowledged.size > before + 200);
  await load.stop();
  await load.resend(sidecar.url);
  const stored = await stack.stored(room);
  assert.equal(stored.length, load.acknowledged.size);
  assert.deepEqual(new Set(stored), new Set(load.acknowledged.keys()));
});

test('messages are accepted again after PgBouncer\'s connections to Postgres are terminated', async () => {
  const room = await stack.stream();
  for (let round = 0; round < 3; round++) {
    await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
    await until('a message is accepted', async () => (await send(sidecar.url, stack.user(), message(room))).status === 200);
  }
});

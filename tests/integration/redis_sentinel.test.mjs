// The gate on a Redis master that three sentinels watch: a killed master, a switch-over, a full Redis. And a Redis on a Unix socket.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeCertificate } from '../contracts/service.mjs';
import { message, send } from './http.mjs';
import { Load } from './load.mjs';
import { assertStoredOnce, redisCheck, untilAccepted, untilReady, watchLog } from './redis_failover.mjs';
import { RedisSentinels } from './redis_groups.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, group, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  group = await RedisSentinels.start(stack);
  sidecar = await stack.sidecar({ SEALCAST_GATE_REDIS_URL: group.url, SEALCAST_GATE_REDIS_PASSWORD_FILE: '' });
});
after(async () => {
  await sidecar?.stop();
  await stack?.close();
});

const newMaster = (old) => until('there is a new master', async () => {
  const master = await group.master();
  return master && master !== old && master;
});

test('a full master: /readyz says so, until it has room', async () => {
  const master = await group.master();
  await master.command('config', 'set', 'maxmemory', '1');
  await until('/readyz says so', async () => /^OOM /.test(await redisCheck(sidecar)));
  await master.command('config', 'set', 'maxmemory', '0');
  await untilReady(sidecar);
});

test('the master is killed under load: messages are refused until there is a new one, and each is stored once', { timeout: 60_000 }, async () => {
  const room = await stack.stream();
  const checkLog = watchLog(sidecar);
  const load = new Load(stack, room, [sidecar.url]);
  await until('messages flow', () => load.acknowledged.size > 100);
  const old = await group.master();
  await old.stop('SIGKILL');
  await until('/readyz says so', async () => (await redisCheck(sidecar)) !== 'ok');
  const master = await newMaster(old);
  await untilReady(sidecar);
  const before = load.acknowledged.size;
  await until('messages flow again', () => load.acknowledged.size > before + 100);
  await load.stop();
  assert.ok(load.unacknowledged.length > 0, 'the load has met the failure');
  await load.resend(sidecar.url);
  await assertStoredOnce(stack, room, load);
  assert.match(await master.text('info', 'commandstats'), /cmdstat_evalsha/);
  checkLog();
  await old.start();
});

test('a switch-over under load: the demoted master lives, and messages go to the new one', { timeout: 60_000 }, async () => {
  const room = await stack.stream();
  const checkLog = watchLog(sidecar);
  const load = new Load(stack, room, [sidecar.url]);
  await until('messages flow', () => load.acknowledged.size > 100);
  const old = await group.master();
  await until('a sentinel begins', async () => (await group.sentinels[0].command('sentinel', 'failover', RedisSentinels.NAME)) === 'OK');
  const master = await newMaster(old);
  // The sentinels make the old master a replica only 10 s later. The sidecar does not wait for that.
  await until('the new master gets the checks', async () => (await master.text('info', 'commandstats')).includes('cmdstat_evalsha'), 5000);
  await untilReady(sidecar);
  const before = load.acknowledged.size;
  await until('messages flow again', () => load.acknowledged.size > before + 100);
  await load.stop();
  await load.resend(sidecar.url);
  await assertStoredOnce(stack, room, load);
  checkLog();
});

test('a sidecar starts while one sentinel is dead', async () => {
  group.sentinels[0].process.kill('SIGKILL');
  const late = await stack.sidecar({ SEALCAST_GATE_REDIS_URL: group.url, SEALCAST_GATE_REDIS_PASSWORD_FILE: '', SEALCAST_GATE_SOCKET: '' });
  await untilAccepted(stack, late, await stack.stream());
  await late.stop();
});

test('sentinels and servers over TLS: a failover, and certificates that nobody trusts', { timeout: 60_000 }, async () => {
  const [certificate, foreign] = ['sentinels', 'foreign'].map((name) => makeCertificate(stack.directory, '127.0.0.1', name));
  const secure = await RedisSentinels.start(stack, { certificate });
  assert.match(secure.url, /^rediss\+sentinel:/);
  const settings = { SEALCAST_GATE_REDIS_URL: secure.url, SEALCAST_GATE_REDIS_PASSWORD_FILE: '', SEALCAST_GATE_SOCKET: '' };
  const guarded = await stack.sidecar({ ...settings, SEALCAST_GATE_REDIS_CA_FILE: certificate.cert });
  const room = await stack.stream();
  await untilAccepted(stack, guarded, room);
  const old = await secure.master();
  await old.stop('SIGKILL');
  await until('there is a new master', async () => ![undefined, old].includes(await secure.master()));
  await untilAccepted(stack, guarded, room);
  await guarded.stop();

  const deceived = await stack.launch({ ...settings, SEALCAST_GATE_REDIS_CA_FILE: foreign.cert });
  await until('the log says why', () => deceived.log.some((line) => line.includes('no sentinel names the master') && line.includes('certificate verify failed')));
  await deceived.stop();
});

test('a Redis on a Unix socket', async () => {
  const socket = join(stack.directory, 'redis', 'redis.sock');
  const redis = await RedisTarget.start(stack, ['--unixsocket', socket]);
  const local = await stack.sidecar({ SEALCAST_GATE_REDIS_URL: `unix://${socket}?db=3`, SEALCAST_GATE_REDIS_PASSWORD_FILE: '', SEALCAST_GATE_SOCKET: '' });
  assert.equal((await send(local.url, stack.user(), message(await stack.stream()))).status, 200);
  assert.match(await redis.text('info', 'keyspace'), /db3:keys=/);
  await local.stop();
});

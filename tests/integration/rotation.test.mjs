// Passwords of Redis and Postgres that change while a sidecar and a worker run. The servers close the connections, so that each client
// must log in again.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { OLD, READ_AGAIN, accepts, lines, refuses, write } from './secret_files.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

const services = ['gate', 'streams', 'events'];

let plane, stack, redis;
before(async () => {
  plane = await EventPlane.create(
    (target) => ({
      SEALCAST_GATE_REDIS_URL: target.url,
      SEALCAST_GATE_REDIS_PASSWORD_FILE: target.files[0],
      SEALCAST_REDIS_STREAMS_URL: target.url,
      SEALCAST_REDIS_STREAMS_PASSWORD_FILE: target.files[1],
      SEALCAST_REDIS_EVENTS_PASSWORD_FILE: target.files[2],
      SEALCAST_POSTGRES_PASSWORD_FILE: target.postgresFile,
    }),
    async (made) => {
      stack = made;
      await demandPassword('sealcast_service');
      redis = await RedisTarget.start(stack, ['--requirepass', OLD], { password: OLD });
      redis.files = services.map((name) => write(stack, `password-${name}`, OLD));
      redis.postgresFile = write(stack, 'password-postgres', OLD);
      return redis;
    },
  );
  await plane.worker();
});
after(async () => {
  for (const worker of plane?.workers ?? []) await worker.stop();
  await plane?.close();
});

// Postgres demands the password OLD from the role, after the statement.
async function demandPassword(role, statement = `alter role ${role}`) {
  const [{ hba_file: file }] = await stack.query('show hba_file');
  writeFileSync(file, `local all ${role} scram-sha-256\n${readFileSync(file, 'utf8')}`);
  await stack.query(`${statement} password '${OLD}'`);
  await stack.query('select pg_reload_conf()');
}

const processes = () => [plane.sidecar, ...plane.workers];

function assertNoSecret(...secrets) {
  for (const { log } of processes()) for (const secret of secrets) assert.ok(!log.some((line) => line.includes(secret)), 'the log contains no secret');
}

// A message is accepted, relayed to SSE, added to both kinds of Redis streams, and applied by the worker.
async function everythingWorks() {
  const room = await stack.stream();
  const user = stack.user();
  const accepted = async () => (await send(plane.sidecar.url, user, message(room, 'works', { d: { content: 'works', amount: 1 } }))).status === 200;
  await until('a message is accepted', accepted);
  const reader = await until('an event stream opens', () => Subscriber.to(plane.sidecar.url, room));
  await until('another message is accepted', accepted); // other connections may still be away
  await until('the message is relayed', () => reader.frames.length > 0);
  reader.close();
  await until('the Redis stream has both', async () => (await redis.frames(room)).length >= 2);
  await until('the worker has applied both', async () => (await stack.query('select n::int from shop.tally where stream_id = $1', [room]))[0]?.n === 2);
  await until('/readyz answers 200', async () => (await request(`${plane.sidecar.url}/readyz`)).status === 200);
}

// The names of the connections that the sidecar and the worker hold, without the numbers of event partitions.
const connections = async () => (await stack.query("select distinct application_name as name from pg_stat_activity where usename = 'sealcast_service' order by 1")).map(({ name }) => name);

test('the password of Redis: the gate, both transports and the worker take the new one from their files', { timeout: 120_000 }, async () => {
  await everythingWorks();
  const fresh = `fresh-${randomUUID()}`;
  await redis.command('config', 'set', 'requirepass', fresh);
  redis.password = fresh;
  await everythingWorks(); // connections that are open go on
  for (const name of services) write(stack, `password-${name}`, fresh);
  await redis.command('client', 'kill', 'type', 'normal');
  await everythingWorks();
  for (const setting of ['gate.redis_password_file', 'redis_streams.password_file', 'redis_events.password_file']) {
    assert.equal(lines(plane.sidecar, READ_AGAIN, setting), 1, setting);
  }
  assert.equal(lines(plane.workers[0], READ_AGAIN, 'redis_events.password_file'), 1);
  assertNoSecret(OLD, fresh);
});

test('a file that is replaced before Redis has the password, and one that cannot be used', { timeout: 120_000 }, async () => {
  const [before, fresh] = [redis.password, `later-${randomUUID()}`];
  const setting = 'gate.redis_password_file';
  const reads = lines(plane.sidecar, READ_AGAIN, setting);
  write(stack, 'password-gate', fresh);
  await redis.command('client', 'kill', 'type', 'normal');
  await everythingWorks(); // the last password is still the one of Redis
  assert.equal(lines(plane.sidecar, READ_AGAIN, setting), reads);

  write(stack, 'password-gate', '');
  await redis.command('acl', 'setuser', 'default', 'resetpass', `>${fresh}`);
  redis.password = fresh;
  for (const name of services.slice(1)) write(stack, `password-${name}`, fresh);
  await redis.command('client', 'kill', 'type', 'normal');
  const unusable = 'its file cannot be read again; the last secret stays in use';
  await until('the log names the file', () => lines(plane.sidecar, unusable, 'password-gate') === 1);
  await until('/readyz is not ready', async () => (await request(`${plane.sidecar.url}/readyz`)).status === 503);
  write(stack, 'password-gate', fresh);
  await everythingWorks();
  assert.equal(lines(plane.sidecar, unusable), 1);
  assert.equal(lines(plane.sidecar, READ_AGAIN, setting), reads + 1);
  assertNoSecret(before, fresh);
});

test('the password of Postgres: each connection of the sidecar and the worker takes the new one', { timeout: 120_000 }, async () => {
  await everythingWorks();
  const names = await connections();
  const fresh = `it's "fresh" ${randomUUID()}`;
  await stack.query(`alter role sealcast_service password '${fresh.replace("'", "''")}'`);
  await everythingWorks();
  write(stack, 'password-postgres', fresh);
  await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
  await everythingWorks();
  await until('all connections are back', async () => {
    const now = await connections();
    return names.every((name) => now.includes(name));
  });
  for (const process of processes()) assert.equal(lines(process, READ_AGAIN, 'POSTGRES_PASSWORD_FILE'), 1, process.tail());
  assertNoSecret(fresh);
});

test('the password of Postgres in a passfile of the DSN', { timeout: 60_000 }, async () => {
  const role = 'sealcast_passfile';
  await demandPassword(role, `create role ${role} login in role sealcast_service`);
  const passfile = join(stack.directory, 'passfile');
  const writePassfile = (password) => {
    writeFileSync(passfile, `*:*:*:*:${password}\n`, { mode: 0o600 });
    const { uid, gid } = statSync(join(stack.directory, 'redis')); // libpq reads only a file of its own user
    chownSync(passfile, uid, gid);
  };
  writePassfile(OLD);
  const dsn = `${stack.serviceDsn.replace('user=sealcast_service', `user=${role}`)} passfile='${passfile}'`;
  const sidecar = await stack.sidecar({ SEALCAST_POSTGRES_DSN: dsn, SEALCAST_GATE_SOCKET: '' });
  const room = await stack.stream();
  await accepts(stack, sidecar, room);
  const fresh = `pass-${randomUUID()}`;
  await stack.query(`alter role ${role} password '${fresh}'`);
  await stack.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
  await refuses(stack, sidecar, room);
  writePassfile(fresh);
  await accepts(stack, sidecar, room);
  await sidecar.stop();
});

// Shutting down and logging among bad neighbours: a load balancer that needs time, SQL that goes on sending, and a standard error that
// nobody reads.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until, within } from './waiting.mjs';

let stack, room;
before(async () => {
  stack = await PrivateStack.create();
  room = await stack.stream();
});
after(() => stack?.close());

const readiness = async (sidecar) => (await request(`${sidecar.url}/readyz`)).status;

test('in the lame-duck time /readyz answers 503 and everything is served; then the process ends', async () => {
  const sidecar = await stack.sidecar({ SEALCAST_LAME_DUCK_MS: '3000' });
  sidecar.process.kill('SIGTERM');
  await until('/readyz answers 503', async () => (await readiness(sidecar)) === 503);
  assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  assert.equal((await request(`${sidecar.url}/streams/${room}/messages`)).status, 200);
  await stack.sendFromSql(stack.user(), message(room));
  await sidecar.ended();
});

test('a second signal ends the lame-duck time', async () => {
  const sidecar = await stack.sidecar({ SEALCAST_LAME_DUCK_MS: '600000' });
  sidecar.process.kill('SIGTERM');
  await until('/readyz answers 503', async () => (await readiness(sidecar)) === 503);
  assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  sidecar.process.kill('SIGINT');
  await sidecar.ended();
  assert.ok(sidecar.log.some((line) => line.includes('a second signal ends the lame-duck time')));
});

test('a third SIGTERM ends a process that waits for a request', async () => {
  const sidecar = await stack.sidecar({ SEALCAST_DRAIN_TIMEOUT_MS: '600000', SEALCAST_POSTGRES_TIMEOUT_MS: '600000' });
  const [holder, owner] = [await stack.connect(), stack.user()];
  await stack.grant(room, owner, 'owner');
  await holder.query('begin');
  await holder.query('select from sealcast.streams where stream_id = $1 for update', [room]);
  const slow = request(`${sidecar.url}/rpc/mute`, { method: 'POST', headers: owner.headers, body: { stream_id: room, user_id: stack.user().id } });
  slow.catch(() => {});
  await until('the call waits', async () => (await stack.query("select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'"))[0].n > 0);
  sidecar.process.kill('SIGTERM');
  await until('the listener is closed', () => request(`${sidecar.url}/healthz`).then(() => false, () => true));
  sidecar.process.kill('SIGTERM');
  await until('the second signal is logged', () => sidecar.log.some((line) => line.includes('a second signal')));
  sidecar.process.kill('SIGTERM');
  assert.deepEqual(await within('the process ends', sidecar.exited), { code: 1, signal: null });
  await assert.rejects(slow);
  await holder.query('rollback');
  await holder.end();
});

test('SQL sends until the last request over HTTP is answered', async () => {
  const sidecar = await stack.sidecar();
  const holder = await stack.connect();
  const [owner, guest] = [stack.user(), stack.user()];
  await stack.grant(room, owner, 'owner');
  await holder.query('begin');
  await holder.query('select from sealcast.streams where stream_id = $1 for update', [room]);
  // This call keeps the server busy while it shuts down.
  const slow = request(`${sidecar.url}/rpc/mute`, { method: 'POST', headers: owner.headers, body: { stream_id: room, user_id: guest.id } });
  await until('the call waits', async () => (await stack.query("select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'"))[0].n > 0);
  sidecar.process.kill('SIGTERM');
  await until('the listener is closed', () => request(`${sidecar.url}/healthz`).then(() => false, () => true));
  await stack.sendFromSql(stack.user(), message(room));
  await holder.query('rollback');
  assert.ok([204, 503].includes((await slow).status));
  await holder.end();
  await sidecar.ended();
});

test('a standard error that nobody reads stops nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sealcast-stderr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const fifo = join(directory, 'stderr');
  execFileSync('mkfifo', ['-m', '666', fifo]);
  execFileSync('chmod', ['755', directory]);
  const reader = openSync(fifo, constants.O_RDWR); // keeps the pipe open, and reads nothing
  t.after(() => closeSync(reader));
  const sidecar = await stack.launch({ SEALCAST_LOG_LEVEL: 'debug' }, { under: ['sh', '-c', `exec "$0" "$@" 2> ${fifo}`] });
  await sidecar.ready();
  // Each message is a line of about 200 bytes; the pipe holds 64 KiB.
  for (let i = 0; i < 20; ++i) {
    const answers = await Promise.all(Array.from({ length: 40 }, () => send(sidecar.url, stack.user(), message(room))));
    assert.ok(answers.every(({ status }) => status === 200));
  }
  assert.equal((await request(`${sidecar.url}/healthz`)).status, 200);
  await sidecar.stop();
});

test('SIGHUP reads the session secret and the log level again, and names what needs a restart', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sealcast-reload-'));
  t.after(() => rmSync(directory, { recursive: true }));
  execFileSync('chmod', ['755', directory]);
  const secretFile = join(directory, 'secret');
  const ticketFile = join(directory, 'tickets');
  const config = join(directory, 'sealcast.toml');
  const write = (path, text) => writeFileSync(path, text, { mode: 0o644 });
  const [old, fresh] = ['o'.repeat(64), 'f'.repeat(64)];
  write(secretFile, old);
  write(ticketFile, 't'.repeat(64));
  write(config, '[log]\nlevel = "info"\n');
  const sidecar = await stack.launch({ SEALCAST_SESSION_HS256_SECRET_FILE: secretFile, SEALCAST_SESSION_TICKET_SECRET_FILE: ticketFile },
    { under: ['sh', '-c', `exec "$0" "$@" --config ${config}`] });
  await sidecar.ready();
  t.after(() => sidecar.stop());
  const sendAs = async (secret) => {
    const user = stack.user();
    return (await send(sidecar.url, { headers: { authorization: `Bearer ${user.token({}, { secret })}` } }, message(room))).status;
  };
  const logged = (text) => until(text, () => sidecar.log.some((line) => line.includes(text)));
  assert.deepEqual([await sendAs(old), await sendAs(fresh)], [200, 401]);

  write(secretFile, fresh);
  write(config, '[log]\nlevel = "debug"\n[gate]\nmax_waiting = 7\n');
  sidecar.process.kill('SIGHUP');
  await logged('"changed_and_not_reloaded":"gate.max_waiting"');
  assert.deepEqual([await sendAs(old), await sendAs(fresh)], [401, 200]);
  await logged('"level":"debug"');

  write(secretFile, 'short');
  sidecar.process.kill('SIGHUP');
  const refused = () => sidecar.log.filter((line) => line.includes('cannot reload; the last settings stay in force'));
  await until('the short secret is refused', () => refused().length === 1);
  assert.equal(await sendAs(fresh), 200);

  write(secretFile, fresh);
  write(ticketFile, 'short');
  sidecar.process.kill('SIGHUP');
  await until('the short secret of tickets is refused', () => refused().length === 2);
  assert.match(refused()[1], /session\.ticket_secret_file/);
});

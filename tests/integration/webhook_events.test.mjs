// Events for the operator's webhook: signed, at least once, in order per stream, over failures of the receiver, of the sidecar and of
// single events. The receiver verifies each call with the package standardwebhooks.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeCertificate } from '../contracts/service.mjs';
import { message, request, send } from './http.mjs';
import { READ_AGAIN, lines, write } from './secret_files.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';
import { Receiver, hmacSecret } from './webhook_receiver.mjs';

let stack, receiver, secret, settings, certificate;
before(async () => {
  stack = await PrivateStack.create();
  certificate = makeCertificate(stack.directory, '127.0.0.1', 'receiver');
  receiver = await Receiver.start({ tls: certificate });
  secret = hmacSecret();
  settings = {
    SEALCAST_WEBHOOKS_URL: receiver.url,
    SEALCAST_WEBHOOKS_CA_FILE: certificate.cert,
    SEALCAST_WEBHOOKS_SECRET_FILE: write(stack, 'events-secret', secret),
    SEALCAST_WEBHOOKS_TIMEOUT_MS: '2000',
  };
});
after(async () => {
  await receiver?.close();
  await stack?.close();
});

const queued = async () => Number((await stack.query('select count(*) from sealcast.webhook_events'))[0].count);
const emptied = () => until('the queue is empty', async () => (await queued()) === 0, 60_000);

// Starts a sidecar, and waits until events are queued.
async function start(t, more = {}) {
  await stack.query('select sealcast.forget_webhooks()');
  receiver.calls = [];
  receiver.secret = secret;
  receiver.answer = () => ({ status: 204 });
  const sidecar = await launch(more);
  t.after(() => sidecar.running && sidecar.stop());
  return sidecar;
}
async function launch(more = {}) {
  const sidecar = await stack.sidecar({ ...settings, ...more });
  await until('events are queued', async () => (await stack.query('select from sealcast_internal.webhook_subscription')).length === 1);
  return sidecar;
}

const types = (room) => receiver.of(room).map(({ json }) => json.type);
const reasons = (room) => receiver.of(room).map(({ json }) => json.data.reason);
const accepted = (room) => receiver.of(room).filter(({ status }) => status === 204);
const ban = (room, reason) => stack.query('select sealcast.ban($1, gen_random_uuid(), reason => $2)', [room, reason]);
const problem = async ({ url }) => {
  const { status, json } = await request(`${url}/readyz`);
  assert.equal(status, 200, 'a webhook that is away does not make a sidecar unready');
  return json.checks.webhook;
};

test('each act is one signed event with the entry of the moderation log, and with both secrets while one is replaced', async (t) => {
  const sidecar = await start(t);
  const [room, owner, guest] = [await stack.stream(), stack.user(), stack.user()];
  await stack.grant(room, owner, 'owner');
  const call = (name, body) => request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: owner.headers, body: { stream_id: room, ...body } });
  assert.ok((await call('ban', { user_id: guest.id, reason: 'spam' })).status < 300);
  assert.ok((await call('set_stream_rules', { rules: { slow_mode_s: 5 } })).status < 300);
  await receiver.received(room, 2);
  await emptied();
  assert.deepEqual(types(room), ['user.banned', 'stream.rules_changed']);
  const [banned] = receiver.of(room);
  const [entry] = await stack.query("select * from sealcast.moderation_log where act = 'ban' and stream_id = $1", [room]);
  assert.equal(banned.id, entry.entry_id);
  assert.match(banned.json.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.deepEqual(banned.json.data, {
    stream_id: room, user_id: guest.id, actor_id: owner.id, actor_rank: 'owner', reason: 'spam', before: null, after: entry.after,
  });
  assert.ok(receiver.calls.every(({ forged }) => !forged));

  const fresh = hmacSecret();
  const rotate = async (...secrets) => {
    const before = lines(sidecar, READ_AGAIN, 'webhooks.secret_file');
    write(stack, 'events-secret', secrets.join('\n'));
    sidecar.process.kill('SIGHUP');
    await until('the secrets are read again', () => lines(sidecar, READ_AGAIN, 'webhooks.secret_file') === before + 1);
  };
  await rotate(fresh, secret);
  await ban(room, 'both');
  await receiver.received(room, 3);
  receiver.secret = fresh;
  await ban(room, 'fresh');
  await receiver.received(room, 4);
  await rotate(secret);
  receiver.secret = secret;
  await ban(room, 'old again');
  await receiver.received(room, 5);
  assert.deepEqual(receiver.of(room).map(({ forged }) => forged), Array(5).fill(undefined));
  assert.ok(!sidecar.log.some((line) => line.includes(secret) || line.includes(fresh)), 'the log contains no secret');
});

test('while the receiver is down, events wait in Postgres and everything else goes on; then they come in order', async (t) => {
  const sidecar = await start(t);
  await receiver.close();
  const rooms = [await stack.stream(), await stack.stream()];
  for (const n of [1, 2, 3]) for (const room of rooms) await ban(room, `${n}`);
  await until('/readyz names the problem', async () => (await problem(sidecar)) !== 'ok');
  assert.equal((await send(sidecar.url, stack.user(), message(rooms[0]))).status, 200);
  assert.equal(await queued(), 6);
  await receiver.listen();
  await emptied();
  for (const room of rooms) assert.deepEqual(reasons(room), ['1', '2', '3']);
  await until('/readyz is content again', async () => (await problem(sidecar)) === 'ok');
});

test('a sidecar that dies between a call and its record repeats the call, and loses nothing', async (t) => {
  const sidecar = await start(t);
  const room = await stack.stream();
  receiver.answer = () => null;
  for (const n of [1, 2, 3]) await ban(room, `${n}`);
  await receiver.received(room, 1);
  sidecar.process.kill('SIGKILL');
  await sidecar.exited;
  receiver.answer = () => ({ status: 204 });
  const next = await launch();
  t.after(() => next.stop());
  await emptied();
  const calls = receiver.of(room);
  assert.equal(calls[0].id, calls[1].id, 'a repeat has the same id');
  assert.deepEqual(calls.slice(1).map(({ json }) => json.data.reason), ['1', '2', '3']);
});

test('an event that is refused holds back its stream alone, becomes a dead letter, and can be replayed', async (t) => {
  const sidecar = await start(t, { SEALCAST_WEBHOOKS_MAX_ATTEMPTS: '2' });
  const [bad, good] = [await stack.stream(), await stack.stream()];
  receiver.answer = ({ json }) => ({ status: json.data.reason === 'poison' ? 500 : 204 });
  await ban(bad, 'poison');
  await ban(bad, 'after it');
  await receiver.received(bad, 1);
  await ban(good, 'good');
  await receiver.received(good, 1);
  assert.ok(!reasons(bad).includes('after it'), 'the stream waits');
  await until('the stream goes on', () => reasons(bad).includes('after it'));
  assert.deepEqual(reasons(bad), ['poison', 'poison', 'after it']);
  const [letter] = await until('the dead letter is recorded', () => stack.query('select * from sealcast.webhook_events where failed_at is not null').then((rows) => rows.length && rows));
  assert.deepEqual([letter.type, letter.stream_id, letter.attempts, letter.reason], ['user.banned', bad, 2, 'it answered 500']);
  assert.equal(lines(sidecar, 'became a dead letter', letter.event_id), 1);
  const { text } = await request(`${sidecar.url}/metrics`);
  assert.match(text, /^sealcast_delivery_dead_total\{transport="webhook_events"\} 1$/m);
  receiver.answer = () => ({ status: 204 });
  assert.equal((await stack.query('select sealcast.replay_webhooks() as n'))[0].n, '1');
  await emptied();
  assert.deepEqual(reasons(bad), ['poison', 'poison', 'after it', 'poison']);
});

test('an event without an answer holds back its stream alone', async (t) => {
  await start(t, { SEALCAST_WEBHOOKS_TIMEOUT_MS: '300' });
  const [bad, good] = [await stack.stream(), await stack.stream()];
  receiver.answer = ({ json }) => (json.data.reason === 'poison' ? null : { status: 204 });
  await ban(bad, 'poison');
  await receiver.received(bad, 1);
  for (const n of [1, 2, 3]) {
    await ban(good, `${n}`);
    await until('it is accepted', () => accepted(good).length === n);
  }
});

test('many events keep their order per stream, and no more calls than configured are in progress', async (t) => {
  await start(t, { SEALCAST_WEBHOOKS_MAX_IN_FLIGHT: '4' });
  let open = 0, most = 0;
  receiver.server.on('request', (incoming, response) => {
    most = Math.max(most, ++open);
    response.on('close', () => open--);
  });
  const rooms = [];
  for (let i = 0; i < 20; i++) rooms.push(await stack.stream());
  await stack.query(
    `select sealcast.ban(s, gen_random_uuid(), reason => n::text) from generate_series(1, 100) n, unnest($1::uuid[]) s`, [rooms]);
  await emptied();
  assert.ok(most > 1 && most <= 4, `${most} calls at the same time`);
  for (const room of rooms) assert.deepEqual(reasons(room), Array.from({ length: 100 }, (_, i) => `${i + 1}`));
});

test('after 410 nothing is posted until SIGHUP', async (t) => {
  const sidecar = await start(t);
  receiver.answer = () => ({ status: 410 });
  const room = await stack.stream();
  await ban(room, '1');
  await until('the log says it', () => lines(sidecar, 'the webhook answered 410') === 1);
  await ban(room, '2');
  assert.match(await problem(sidecar), /410/);
  assert.equal(receiver.of(room).length, 1);
  receiver.answer = () => ({ status: 204 });
  sidecar.process.kill('SIGHUP');
  await emptied();
  assert.deepEqual(reasons(room), ['1', '1', '2']);
});

test('redirects are not followed, and an endless answer ends the call', async (t) => {
  await start(t);
  const [redirected, endless] = [await stack.stream(), await stack.stream()];
  let first = true;
  receiver.answer = ({ json }) => {
    if (json.data.stream_id === endless) return { status: 200, body: first ? 'x'.repeat(1 << 20) : '' };
    return first ? { status: 307, headers: { Location: receiver.url } } : { status: 204 };
  };
  const reason = (room) => until('it failed', async () =>
    (await stack.query('select reason from sealcast.webhook_events where stream_id = $1 and reason is not null', [room]))[0]?.reason);
  await ban(redirected, '1');
  assert.equal(await reason(redirected), 'it answered 307');
  assert.equal(receiver.of(redirected).length, 1);
  await ban(endless, '1');
  assert.equal(await reason(endless), 'the response is too long');
  first = false;
  await emptied();
});

test('message.sent has the envelope, in order per stream, and only when it is configured', async (t) => {
  const sidecar = await start(t, { SEALCAST_WEBHOOKS_EVENTS: '*,message.sent' });
  const [room, user] = [await stack.stream(), stack.user()];
  const sent = (content) => receiver.calls.filter(({ json }) => json.type === 'message.sent' && json.data.envelope.stream_id === room && (!content || json.data.envelope.d.content === content));
  const envelopes = [];
  receiver.answer = ({ json }) => ({ status: json.type === 'message.sent' && sent().length === 2 ? 503 : 204 });
  for (const content of ['one', 'two', 'three']) envelopes.push((await send(sidecar.url, user, message(room, content))).json);
  await stack.query('select sealcast.set_stream_rules($1, $2)', [room, '{"types":["chat"]}']); // a message of the system
  await until('three are accepted', () => sent('three').some(({ status }) => status === 204));
  const ids = new Set(sent().map(({ id }) => id));
  assert.equal(ids.size, 3);
  assert.deepEqual([...new Set(sent().map(({ json }) => json.data.envelope.d.content))], ['one', 'two', 'three']);
  assert.deepEqual(sent('one')[0].json.data.envelope, envelopes[0]);
  assert.equal(Date.parse(sent('one')[0].json.timestamp), envelopes[0].ts);
  assert.deepEqual(sent('two').map(({ status }) => status), [503, 204]);
  await sidecar.stop();
  await stack.query("select sealcast.forget_transport('webhooks')");
  const without = await launch();
  t.after(() => without.stop());
  assert.equal((await send(without.url, user, message(room, 'four'))).status, 200);
  await ban(room, 'last');
  await until('the ban is posted', () => reasons(room).includes('last'));
  assert.equal(sent('four').length, 0);
});

test('a name that is not an event is in the log', async (t) => {
  const sidecar = await start(t, { SEALCAST_WEBHOOKS_EVENTS: 'user.banned,user.baned' });
  await until('the log names it', () => lines(sidecar, 'not an event', 'user.baned') === 1);
});

test('the example receiver accepts the events once', async (t) => {
  const example = spawn(process.execPath, [fileURLToPath(new URL('../../docs/examples/webhook.mjs', import.meta.url))], {
    env: { ...process.env, PORT: '0', WEBHOOK_SECRET: secret },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => example.kill('SIGKILL'));
  const output = [];
  const reader = createInterface(example.stdout).on('line', (line) => output.push(line));
  const [url] = await once(reader, 'line');
  await start(t, { SEALCAST_WEBHOOKS_URL: url });
  const room = await stack.stream();
  await ban(room, 'spam');
  await emptied();
  await until('it prints the event', () => output.some((line) => /^\S+Z user\.banned \{.*"reason":"spam"/.test(line)));
  const answer = await fetch(url, { method: 'POST', body: '{}' });
  assert.equal(answer.status, 401, 'a call without a signature is refused');
});

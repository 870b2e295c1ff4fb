// Tests the containers that docker compose started: a message arrives, also after a restart of each service; each
// container has only the rights and the secrets that it needs; and Docker shows no secret.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import { Subscriber, message, request, send } from '../integration/http.mjs';
import { until } from '../integration/waiting.mjs';

const run = promisify(execFile);
const url = 'http://127.0.0.1:8080';
// The services, and the secrets that each may read.
const services = {
  postgres: ['database/password', 'keyring/k1'],
  redis: ['redis/password'],
  mosquitto: ['mqtt-viewer/password', 'mqtt/password'],
  sealcastd: ['database/password', 'mqtt/password', 'redis/password', 'session/secret'],
};
let room, owner, user, broker;

const compose = async (...words) => (await run(fileURLToPath(new URL('docker_compose', import.meta.url)), words)).stdout.trim();
const inside = (service, ...words) => compose('exec', '-T', service, ...words);
const docker = async (...words) => Object.values(await run('docker', words)).join('');
const inspect = async (service) => JSON.parse(await docker('inspect', await compose('ps', '--all', '--quiet', service)))[0];

before(async () => {
  const session = (await request(`${url}/demo.json`)).json;
  room = session.stream_id;
  owner = session.owner.user_id;
  user = { headers: { authorization: `Bearer ${session.guest.token}` } };
  broker = session.broker;
  assert.deepEqual(Object.keys(session.owner), ['name', 'user_id'], 'visitors get no session of the owner');
});

async function overHttp(sent) {
  const answer = await send(url, user, sent);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

// Sends a message as the log of init shows.
async function fromSql({ stream_id, t, d, txn_id }) {
  const psql = ['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', '-d', 'sealcast'];
  const values = [stream_id, t, JSON.stringify(d), txn_id].map((value) => `$$${value}$$`);
  const session = `set role sealcast_user; set request.jwt.claims = $$${JSON.stringify({ sub: owner })}$$`;
  return JSON.parse(await inside('postgres', ...psql, '-c', `${session}; select sealcast.send_message(${values})`));
}

// Sends one message, waits for it on both transports, and verifies its seal.
async function roundTrip(sendMessage = overHttp) {
  const sse = await Subscriber.to(url, room);
  const reader = await mqtt.connectAsync(broker.url, { ...broker, protocolVersion: 5, clean: true });
  try {
    const published = [];
    reader.on('message', (topic, frame) => published.push(JSON.parse(frame).envelope.txn_id));
    await reader.subscribeAsync(`sealcast/${room}`, { qos: 1 });
    const sent = message(room);
    const envelope = await sendMessage(sent);
    const frame = await until('SSE has it', () => sse.frames.find(({ envelope }) => envelope.txn_id === sent.txn_id), 30_000);
    assert.deepEqual(frame.envelope, envelope);
    await until('MQTT has it', () => published.includes(sent.txn_id), 30_000);
    const verified = await request(`${url}/rpc/verify`, { method: 'POST', headers: user.headers, body: frame.envelope });
    assert.equal(verified.json.result, 'ok', verified.text);
  } finally {
    sse.close();
    await reader.endAsync(true);
  }
}

test('a message over HTTP arrives on both transports and verifies', () => roundTrip());
test('a message from SQL passes the same gate, arrives on both transports and verifies', () => roundTrip(fromSql));

for (const service of Object.keys(services)) {
  test(`messages arrive again after a restart of ${service}`, async () => {
    const { StartedAt } = (await inspect(service)).State;
    await compose('restart', service);
    assert.notEqual((await inspect(service)).State.StartedAt, StartedAt);
    await until('it is healthy', async () => (await inspect(service)).State.Health.Status === 'healthy', 120_000);
    await until('sealcastd is ready', async () => (await request(`${url}/readyz`)).status === 200, 120_000);
    await roundTrip();
    await roundTrip(fromSql);
  });
}

for (const service of Object.keys(services)) {
  test(`${service} runs without root or capabilities, and cannot write files of its image`, async () => {
    const { HostConfig } = await inspect(service);
    assert.ok(HostConfig.ReadonlyRootfs, 'its root file system is read-only');
    assert.deepEqual([HostConfig.CapDrop, HostConfig.CapAdd, HostConfig.Privileged], [['ALL'], null, false]);
    const write = compose('exec', '-T', '--user', 'root', service, 'touch', '/usr/bin/planted');
    await assert.rejects(write, /Read-only file system/, 'a file of its image was written');
    const status = Object.fromEntries((await inside(service, 'cat', '/proc/1/status')).split('\n').map((line) => line.split(':\t')));
    assert.match(status.Uid, /^1000\d(\t1000\d){3}$/, `it runs as ${status.Uid}`);
    const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
    for (const set of capabilities) assert.equal(status[set], '0'.repeat(16), `it has ${set} ${status[set]}`);
    assert.equal(status.NoNewPrivs, '1', 'it may gain privileges');
  });

  test(`${service} can read its own secrets only, and cannot change them`, async () => {
    const found = await inside(service, 'find', '/run/secrets', '-type', 'f', '-printf', '%P\n');
    assert.deepEqual(found.split('\n').sort(), services[service]);
    for (const { Destination, RW } of (await inspect(service)).Mounts) {
      assert.equal(RW, !/^\/(run\/secrets|srv)\//.test(Destination), `${Destination} ${RW ? 'may' : 'cannot'} be written`);
    }
  });
}

test('no secret appears in the output of docker, in environments or in logs', async () => {
  const secrets = new Map();
  for (const [service, names] of Object.entries(services)) {
    for (const name of names) secrets.set(name, await inside(service, 'cat', `/run/secrets/${name}`));
  }
  for (const [name, secret] of secrets) assert.match(secret, /^[0-9a-f]{64}$/, name);
  for (const service of ['init', ...Object.keys(services)]) {
    const { Id, Image, State } = await inspect(service);
    const shown = {
      'docker inspect': await docker('inspect', Id),
      'docker image inspect': await docker('image', 'inspect', Image),
      'docker history': await docker('history', '--no-trunc', Image),
      'docker logs': await docker('logs', Id),
    };
    if (State.Running) {
      shown['docker top'] = await docker('top', Id);
      shown['the environment'] = await readFile(`/proc/${State.Pid}/environ`, 'utf8');
    }
    for (const [where, text] of Object.entries(shown)) {
      assert.ok(text.length > 0, `${where} of ${service} is empty`);
      for (const [name, secret] of secrets) assert.ok(!text.includes(secret), `${where} of ${service} shows ${name}`);
    }
  }
});

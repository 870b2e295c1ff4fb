// The containers as docker compose brings them up: a message goes through, also after each service was restarted, and none of
// them may do more than it must.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import { Subscriber, message, request, send } from '../integration/http.mjs';
import { until } from '../integration/waiting.mjs';

const run = promisify(execFile);
const url = 'http://127.0.0.1:8080';
const services = ['postgres', 'redis', 'mosquitto', 'sealcastd'];
let room, user, broker;

const compose = async (...words) => (await run(fileURLToPath(new URL('docker_compose', import.meta.url)), words)).stdout.trim();

before(async () => {
  const session = (await request(`${url}/demo.json`)).json;
  room = session.stream_id;
  user = { headers: { authorization: `Bearer ${session.owner.token}` } };
  broker = session.broker;
});

// Sends one message and awaits it on both transports, sealed.
async function roundTrip() {
  const sse = await Subscriber.to(url, room);
  const reader = await mqtt.connectAsync(broker.url, { ...broker, protocolVersion: 5, clean: true });
  try {
    const published = [];
    reader.on('message', (topic, frame) => published.push(JSON.parse(frame).envelope.txn_id));
    await reader.subscribeAsync(`sealcast/${room}`, { qos: 1 });
    const sent = message(room);
    const answer = await send(url, user, sent);
    assert.equal(answer.status, 200, answer.text);
    const frame = await until('SSE has it', () => sse.frames.find(({ envelope }) => envelope.txn_id === sent.txn_id), 30_000);
    assert.deepEqual(frame.envelope, answer.json);
    await until('MQTT has it', () => published.includes(sent.txn_id), 30_000);
    const verified = await request(`${url}/rpc/verify`, { method: 'POST', headers: user.headers, body: answer.text });
    assert.equal(verified.json.result, 'ok', verified.text);
  } finally {
    sse.close();
    await reader.endAsync(true);
  }
}

test('a message is sent, received on both transports, and verified', roundTrip);

for (const service of services) {
  test(`and again after ${service} was restarted`, async () => {
    await compose('restart', service);
    await until('it is ready', async () => (await request(`${url}/readyz`)).status === 200, 120_000);
    await roundTrip();
  });
}

for (const service of services) {
  test(`${service} is nobody in particular, and can write no file of its image`, async () => {
    const uid = Number(await compose('exec', '-T', service, 'id', '-u'));
    assert.ok(uid > 10_000, `uid ${uid}`);
    const [made] = JSON.parse((await run('docker', ['inspect', await compose('ps', '-q', service)])).stdout);
    assert.equal(made.HostConfig.ReadonlyRootfs, true);
    assert.deepEqual([made.HostConfig.CapDrop, made.HostConfig.CapAdd], [['ALL'], null]);
    assert.equal(made.HostConfig.Privileged, false);
    await assert.rejects(compose('exec', '-T', '--user', 'root', service, 'touch', '/usr/bin/planted'), /Read-only file system/);
    const status = await compose('exec', '-T', service, 'cat', '/proc/1/status');
    assert.match(status, /^CapEff:\s0+$/m, 'it has no capability');
    assert.match(status, /^NoNewPrivs:\s1$/m);
  });
}

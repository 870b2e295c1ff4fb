// Publishes with the real SDK of Supabase Realtime to the local service that the sidecar's adapter is tested with. So the service
// takes what the SDK sends, over both routes, and refuses what Realtime refuses.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { ContractService } from '../integration/contract_service.mjs';

// realtime-js needs Node.js 20.
const skip = Number(process.versions.node.split('.')[0]) < 20;
const { RealtimeClient } = skip ? {} : await import('@supabase/realtime-js');

const KEY = 'the.key:secret'; // of ContractService
const LIMIT = 20;

let service, agent;
before(async () => {
  if (!skip) await start();
});
after(stop);

async function start() {
  service = await ContractService.start('supabase', '--max-events-per-second', `${LIMIT}`, '--clock', 'manual');
  agent = new Agent({ ca: readFileSync(service.certificates), keepAlive: true });
}

async function stop() {
  agent?.destroy();
  await service?.close();
}

// Begins with a service that has counted nothing.
async function startAgain() {
  await stop();
  await start();
}

// A fetch that trusts the certificate of the service.
function fetchOf(url, { method, headers, body, signal }) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, signal, agent }, async (answer) => {
      const pieces = [];
      for await (const piece of answer) pieces.push(piece);
      resolve(new Response(Buffer.concat(pieces), { status: answer.statusCode, headers: answer.headers }));
    });
    sent.on('error', reject);
    sent.end(body instanceof ArrayBuffer ? Buffer.from(body) : body);
  });
}

function clientOf(key = KEY) {
  return new RealtimeClient(`${service.url.replace('https', 'wss')}/realtime/v1`, { params: { apikey: key }, transport: WebSocket, fetch: fetchOf });
}

const post = (key) => fetchOf(`${service.url}/api/broadcast/t/events/e`, { method: 'POST', headers: { apikey: key }, body: '{}' });
const messages = async (channel) => (await service.command({ do: 'messages', channel })).messages;

for (const isPrivate of [true, false]) {
  const access = isPrivate ? 'private' : 'public';

  test(`httpSend() broadcasts one message to a ${access} channel, as JSON or as bytes`, { skip }, async () => {
    const topic = `one ${access}/ü`;
    const channel = clientOf().channel(topic, { config: { private: isPrivate } });
    assert.deepEqual(await channel.httpSend('message', { offset: 1 }), { success: true });
    assert.deepEqual(await channel.httpSend('message', new Uint8Array([1, 2, 255]).buffer), { success: true });
    assert.deepEqual(await messages(topic), [
      { event: 'message', private: isPrivate, payload: '{"offset":1}' },
      { event: 'message', private: isPrivate, payload: 'AQL/', binary: true },
    ]);
  });

  test(`send() on a ${access} channel that is not joined uses the route for several messages`, { skip }, async () => {
    const topic = `several ${access}`;
    const client = clientOf();
    await client.setAuth(KEY); // then the SDK sends Authorization, too
    const channel = client.channel(topic, { config: { private: isPrivate } });
    assert.equal(await channel.send({ type: 'broadcast', event: 'message', payload: { offset: 7 } }), 'ok');
    assert.deepEqual(await messages(topic), [{ event: 'message', private: isPrivate, payload: '{"offset":7}' }]);
  });
}

test('only the route for one message tells that no policy permits a private broadcast', { skip }, async () => {
  await service.faults({ forbidden: ['secret'] });
  const channel = clientOf().channel('secret', { config: { private: true } });
  await assert.rejects(channel.httpSend('message', {}), /^Error: Unauthorized$/);
  assert.equal(await channel.send({ type: 'broadcast', event: 'message', payload: {} }), 'ok');
  assert.deepEqual(await messages('secret'), []);
  await service.faults();
});

test('a wrong key, an unknown project and an incomplete message are refused over both routes', { skip }, async () => {
  const send = (channel, event = 'message') => channel.send({ type: 'broadcast', event, payload: {} });
  const stranger = clientOf('another key').channel('refused');
  await assert.rejects(stranger.httpSend('message', {}), /^Error: Unauthorized$/);
  assert.equal(await send(stranger), 'error');
  await service.faults({ unknown_project: true });
  const channel = clientOf().channel('refused');
  await assert.rejects(channel.httpSend('message', {}), /^Error: Tenant not found in database$/);
  assert.equal(await send(channel), 'error');
  await service.faults();
  assert.equal(await send(channel, ''), 'error');
  assert.deepEqual(await messages('refused'), []);
});

test('deliveries to readers count: 1 broadcast per 5 s to 199 readers reaches a limit of 20 per second, and no header announces it', { skip }, async () => {
  await startAgain();
  const channel = clientOf().channel('many readers');
  await service.command({ do: 'readers', topic: 'many readers', count: 199 });
  assert.deepEqual(await channel.httpSend('message', {}), { success: true });
  await service.command({ do: 'pass', ms: 5000 });
  // Two buckets of 5 s count, the first of which began and ended empty.
  assert.deepEqual(await service.command({ do: 'load' }), { requests_per_second: 1 / 6, events_per_second: 20, queries: 0 });
  await assert.rejects(channel.httpSend('message', {}), /^Error: You have exceeded your rate limit$/);
  assert.equal(await channel.send({ type: 'broadcast', event: 'message', payload: {} }), 'error', 'one more than the limit');
  const { status, headers } = await post(KEY);
  assert.deepEqual([status, headers.get('x-rate-limit'), headers.get('x-rate-limit-remaining')], [429, `${LIMIT}`, `${LIMIT}`]);
});

test('too many requests are refused before the key is checked, and the headers announce it', { skip }, async () => {
  await startAgain();
  for (let i = 1; i < 2 * LIMIT; i++) assert.equal((await post('another key')).headers.get('x-rate-limit-remaining'), `${LIMIT}`);
  await service.command({ do: 'pass', ms: 1000 });
  const announced = await post(KEY);
  assert.deepEqual([announced.status, announced.headers.get('x-rate-limit-remaining')], [202, '1']);
  for (let i = 0; i < LIMIT; i++) await post(KEY);
  await service.command({ do: 'pass', ms: 1000 });
  const refused = await post('another key');
  assert.deepEqual([refused.status, await refused.json()], [429, { message: 'Too many requests' }]);
});

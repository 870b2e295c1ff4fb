// This file is compiled, but not run. It uses the types as README.md and docs/client.md show the API.
import { Realtime } from 'ably';
import mqttjs from 'mqtt';
import { ably, cellOf, createClient, mqtt, sse, SealcastError, type Driver, type Subscription, type VerifyResult } from '../../client/index.js';

const client = createClient({
  url: 'https://chat.example',
  followCells: false,
  getToken: async ({ refresh }) => (refresh ? 'new' : 'old'),
  transports: [sse({ ticket: true }), mqtt({ client: () => mqttjs.connect('wss://broker.example') })],
});

const roaming = createClient({ url: new URL('https://chat.example'), regions: true });
const region: string = createClient({ url: roaming.region, regions: ['https://us.chat.example'] }).region;

const pinned = createClient({ url: roaming.region, publicKeys: { keys: [{ kty: 'OKP', crv: 'Ed25519', kid: 'k2', x: '…' }] } });

const envelope = await client.sendMessage('id', 'chat', { content: 'hello' });
const content: string = envelope.d.content;

const subscription: Subscription = client.subscribeStreamEvents<{ content: string }>(
  'id',
  async ({ offset, envelope }) => console.log((offset ?? 0) + 1, envelope.d.content.length),
  { from: 0, verify: 'keys', onStatus: (status) => status === 'live', onDropped: ({ from, to }) => console.log(to - from) },
);
await subscription.migrate('mqtt', { overlapMs: 100 });

try {
  await client.verify(envelope);
  const verdict: VerifyResult = await pinned.verify(envelope, { by: 'keys' });
  console.log(verdict);
} catch (error) {
  if (error instanceof SealcastError) console.log(error.code, error.retryAfterMs?.toFixed());
}

const cell: string | null = await cellOf('id', ['a', 'b'], { id: 'a' });
const own: Driver = { name: 'pigeon', connect: async (_streamId, { onConnected, after }) => onConnected({ offset: Number(after() ?? 0) }) };
mqtt({ tokens: true, client: (access) => mqttjs.connect(access?.url ?? '', { username: 'reader', password: access?.token }) });
ably({ tokens: true, client: (access) => new Realtime({ authCallback: access?.authCallback }) });
// @ts-expect-error a resume point is a number or a text
client.subscribeStreamEvents('id', () => {}, { from: true });
// @ts-expect-error sse() has no such option
sse({ qos: 1 });
// @ts-expect-error regions must be a list, even for one address
createClient({ url: region, regions: 'https://us.chat.example' });
export { cell, content, own };

// This file is compiled, but not run. It uses the types as README.md and docs/client.md show the API.
import { Realtime } from 'ably';
import mqttjs from 'mqtt';
import { ably, cellOf, covers, createClient, mqtt, sse, SealcastError, type Driver, type Subscription, type VerifyResult } from '../../client/index.js';

const client = createClient({
  url: 'https://chat.example',
  followCells: false,
  getToken: async ({ refresh }) => (refresh ? 'new' : 'old'),
  transports: [sse({ ticket: true }), mqtt({ client: () => mqttjs.connect('wss://broker.example') })],
});

const roaming = createClient({ url: new URL('https://chat.example'), regions: true });
const region: string = createClient({ url: roaming.region, regions: ['https://us.chat.example'] }).region;

const pinned = createClient({ url: roaming.region, publicKeys: { keys: [{ kty: 'OKP', crv: 'Ed25519', kid: 'k2', x: '…' }] } });

const answer = await client.sendMessage('id', 'chat', { content: 'hello' });
if (answer.held) throw new Error(`${answer.txn_id} waits for a moderator`);
const envelope = answer;
const content: string | undefined = envelope.d?.content; // null: redacted since an earlier attempt

const subscription: Subscription = client.subscribeStreamEvents<{ content: string }>(
  'id',
  async ({ offset, envelope, redacted }) => {
    if (envelope.d) console.log((offset ?? 0) + 1, envelope.d.content.length);
    else console.log(redacted?.by, redacted?.reason?.length, envelope.payload_hash);
  },
  {
    from: 0,
    verify: 'keys',
    onStatus: (status) => status === 'live',
    onDropped: ({ from, to }) => console.log(to - from),
    onRules: ({ slow_mode_s, senders }) => console.log(slow_mode_s?.toFixed(), senders === 'members', Array.isArray(senders) && senders[0]),
    onNotice: ({ kind, streamId, until, role, ended }) => console.log(kind === 'muted', streamId?.length, until?.toFixed(), role?.length, !ended),
    onRedacted: (redaction) => console.log(covers(redaction, { offset: null, envelope }), redaction.offsets.length, redaction.through?.toFixed()),
  },
);
const isNew: boolean = await client.redact('id', { offset: 7 }, 'spam');
const affected: number = await client.redactMessages('id', envelope.s, { since: new Date(Date.now() - 600_000), reason: isNew ? 'spam' : null });
// @ts-expect-error an offset or a txnId, not both
await client.redact('id', { offset: 7, txnId: 'x' });
// @ts-expect-error a redacted message has no content
client.subscribeStreamEvents<{ content: string }>('id', ({ envelope }) => console.log(envelope.d.content));
await subscription.migrate('mqtt', { overlapMs: 100 });

const { messages: state, last } = await client.state('id', { channel: 'vip' });
console.log(state[0]?.envelope.t, state[0]?.retained, last.toFixed());
const recorded: boolean = await client.report('id', 7, { reason: 'spam', category: 'spam' });
await client.mute('id', envelope.s, { until: new Date(), reason: 'spam', purgeMs: 600_000 });
await client.ban('id', envelope.s, { note: 'again' });
const lifted: boolean = (await client.unmute('id', envelope.s)) || (await client.unban('id', envelope.s));
await client.setRole('id', envelope.s, null);
const slow: number | null = (await client.rules('id')).slow_mode_s;
const changed: number | null | undefined = (await client.setRules('id', { slow_mode_s: 10, senders: ['vip'] }))?.d?.slow_mode_s;
for (const { offset, reporters, envelope: reported } of await client.reports('id', { limit: 20, resolved: false })) {
  console.log(reporters.toFixed(), reported.d?.content);
  await client.resolveReport('id', offset, 'acted', { reason: 'deleted' });
}
for (const { act, before, after } of await client.moderationLog('id', { userId: envelope.s })) console.log(act.length, before?.role, after?.role);
const termId: string = await client.addBlockedTerm('id', 'darn', { wholeWord: false, action: 'mask' });
for (const { term_id, kind } of await client.blockedTerms('id')) if (kind === 'literal') await client.removeBlockedTerm('id', term_id);
const [hit] = await client.termHits('id');
await client.termHits('id', { before: hit?.at, beforeHit: hit?.hit_id });
// @ts-expect-error there is no such outcome
await client.resolveReport('id', 7, 'ignored');
// @ts-expect-error a mute ends at a time
await client.mute('id', 'user', { until: '10 minutes' });
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
// @ts-expect-error an offset is a number
client.report('id', '7');
// @ts-expect-error sse() has no such option
sse({ qos: 1 });
// @ts-expect-error regions must be a list, even for one address
createClient({ url: region, regions: 'https://us.chat.example' });
export { affected, cell, changed, content, lifted, own, recorded, slow, termId };

// A region is cut off from the network while it serves: its clients go on in the other, which takes over the relaying; no
// message is missed, and none comes twice.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { makeDatabase } from './geoip.mjs';
import { Hub } from './hub.mjs';
import { Network } from './network.mjs';
import { PrivateStack } from './stack.mjs';
import { until, within } from './waiting.mjs';

const POSTGRES = 5432;
const REDIS = 6379;
const CUT_OFF = 60_000; // silence must be noticed, a lease run out, probes fail

let stack, network, hub, list, database;
const url = (region) => `http://${network.address(region)}:8080`;

before(async () => {
  network = await Network.create(['eu', 'ap']);
  stack = await PrivateStack.create();
  hub = await Hub.start(network.inside('hub'));
  await hub.ask('lead', POSTGRES, join(stack.postgres.host, `.s.PGSQL.${POSTGRES}`));
  list = `eu ${url('eu')} 50.11 8.68,ap ${url('ap')} 35.65 139.74`;
  database = makeDatabase(join(stack.directory, 'geoip.mmdb'), ['10.77.0.0/16 DE 52.5 13.4']);
  const redis = ['redis-server', '--port', `${REDIS}`, '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''];
  stack.spawn([...redis, '--dir', stack.directory], { inside: network.inside('hub') });
});
after(async () => {
  await hub?.close();
  await stack?.close();
  await network?.close();
});

function sidecar(region) {
  const gateway = network.gateway(region);
  const settings = {
    SEALCAST_HTTP_LISTEN: `${network.address(region)}:8080`,
    SEALCAST_POSTGRES_DSN: `host=${gateway} port=${POSTGRES} dbname=${stack.postgres.database} user=sealcast_service`,
    SEALCAST_RELAY_HOLDER: region,
    SEALCAST_GATE_REDIS_URL: `redis://${gateway}:${REDIS}`,
    SEALCAST_GATE_REDIS_PASSWORD_FILE: '',
    SEALCAST_GATE_SOCKET: '',
    SEALCAST_REGIONS_LIST: list,
    SEALCAST_REGIONS_DATABASE_FILE: database,
    SEALCAST_REGIONS_PROBE_MS: '200',
    SEALCAST_SSE_HEARTBEAT_MS: '200',
    SEALCAST_SSE_RETRY_MS: '200',
  };
  return stack.sidecar(settings, network.inside(region));
}

const holders = async () => {
  const held = 'select distinct holder from sealcast.relay_leases where lease_until > clock_timestamp()';
  return (await stack.query(held)).map(({ holder }) => holder).join();
};

// What GET /regions of a region says to the hub.
async function regionsOf(region) {
  const { text } = await hub.ask('get', `${url(region)}/regions`);
  const { regions, located } = JSON.parse(text);
  assert.equal(located, 'DE');
  return regions.map(({ name, healthy }) => `${name} ${healthy}`).join();
}

async function handled(count) {
  const wait = async () => {
    while (hub.frames.length < count) await once(hub, 'changed');
  };
  await within(`${count} frames`, wait(), CUT_OFF).catch((error) => {
    throw new Error(`${error.message}: ${hub.frames.length} came`, { cause: error });
  });
}

const cases = [
  ['down', 'its link goes down', () => ({ url: url('eu'), regions: [url('ap')] })],
  // The server of one region tells that the other is nearer.
  ['silent', 'it swallows everything', () => ({ url: url('ap'), regions: true })],
];

for (const [how, what, options] of cases) {
  test(`a region is cut off: ${what}`, { timeout: 240_000 }, async (t) => {
    const near = await sidecar('eu');
    await until('eu relays', async () => (await holders()) === 'eu');
    const far = await sidecar('ap');
    await until('both are seen', async () => (await regionsOf('ap')) === 'eu true,ap true');

    const room = await stack.stream();
    const sent = [];
    const send = async (count) => {
      for (let i = 0; i < count; i++) sent.push(await hub.ask('send', room, { content: `${how} ${sent.length}` }));
    };
    hub.frames.length = 0;
    await hub.ask('client', { ...options(), token: stack.user().token(), timeoutMs: 2000 }, 2000);
    await hub.ask('subscribe', room);
    await send(5);
    await handled(5);
    assert.equal(await hub.ask('region'), url('eu'));

    await network.cut('eu', how);
    let whole = false;
    t.after(() => whole || network.mend('eu', how));
    await send(5);
    assert.equal(await hub.ask('region'), url('ap'));
    await handled(10);
    await until('ap relays', async () => (await holders()) === 'ap', CUT_OFF);
    await until('eu is left out', async () => (await regionsOf('ap')) === 'ap true', CUT_OFF);
    const { text: metrics } = await hub.ask('get', `${url('ap')}/metrics`);
    assert.match(metrics, /^sealcast_region_healthy\{region="eu"\} 0$/m);
    assert.match(metrics, /^sealcast_region_healthy\{region="ap"\} 1$/m);
    await send(5);
    await handled(15);

    await network.mend('eu', how);
    whole = true;
    await until('eu is back', async () => (await regionsOf('ap')) === 'eu true,ap true', CUT_OFF);
    await until('eu serves', async () => (await hub.ask('get', `${url('eu')}/readyz`)).status === 200, CUT_OFF);
    await send(5);
    await handled(20);
    assert.equal(await hub.ask('region'), url('ap'), 'nobody goes home at once');

    assert.deepEqual(hub.frames.map(({ offset }) => offset), Array.from({ length: 20 }, (_, i) => i + 1));
    assert.deepEqual(hub.frames.map(({ txnId }) => txnId), sent);
    assert.deepEqual(new Set(await stack.stored(room)), new Set(sent));
    // What was relayed elsewhere, the region that was away has too.
    const { text } = await hub.ask('get', `${url('eu')}/streams/${room}/messages?after=0`);
    assert.deepEqual(JSON.parse(text).messages.map(({ envelope }) => envelope.txn_id), sent);
    await hub.ask('unsubscribe');
    await near.stop();
    await far.stop();
  });
}

// A region is cut off from the network while it serves. Its clients continue in the other region, which takes over the relaying. No
// message is lost or delivered twice.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { makeDatabase } from './geoip.mjs';
import { CenterProcess } from './center_process.mjs';
import { Network } from './network.mjs';
import { PrivateStack } from './stack.mjs';
import { until, within } from './waiting.mjs';

const POSTGRES = 5432;
const REDIS = 6379;
const FAILOVER_LIMIT_MS = 60_000; // until the silence is noticed, the lease has expired, and the probes have failed

let stack, network, center, list, database;
const url = (region) => `http://${network.address(region)}:8080`;

before(async () => {
  network = await Network.create(['eu', 'ap']);
  stack = await PrivateStack.create();
  center = await CenterProcess.start(network.inside('center'));
  await center.ask('forward', POSTGRES, join(stack.postgres.host, `.s.PGSQL.${POSTGRES}`));
  list = `eu ${url('eu')} 50.11 8.68,ap ${url('ap')} 35.65 139.74`;
  database = makeDatabase(join(stack.directory, 'geoip.mmdb'), ['10.77.0.0/16 DE 52.5 13.4']);
  const redis = ['redis-server', '--port', `${REDIS}`, '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''];
  stack.spawn([...redis, '--dir', stack.directory], { inside: network.inside('center') });
});
after(async () => {
  await center?.close();
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
  const held = 'select distinct holder from sealcast_internal.relay_leases where lease_until > clock_timestamp()';
  return (await stack.query(held)).map(({ holder }) => holder).join();
};

// The answer of a region to GET /regions from the center.
async function regionsOf(region) {
  const { text } = await center.ask('get', `${url(region)}/regions`);
  const { regions, located } = JSON.parse(text);
  assert.equal(located, 'DE');
  return regions.map(({ name, healthy }) => `${name} ${healthy}`).join();
}

async function handled(count) {
  const wait = async () => {
    while (center.frames.length < count) await once(center, 'changed');
  };
  await within(`${count} frames`, wait(), FAILOVER_LIMIT_MS).catch((error) => {
    throw new Error(`${error.message}: ${center.frames.length} frames came`, { cause: error });
  });
}

const cases = [
  ['down', 'its link goes down', () => ({ url: url('eu'), regions: [url('ap')] })],
  // The server of one region lists the other as the nearer one.
  ['silent', 'it drops all packets', () => ({ url: url('ap'), regions: true })],
];

for (const [how, what, options] of cases) {
  test(`a region is cut off: ${what}`, { timeout: 240_000 }, async (t) => {
    const near = await sidecar('eu');
    await until('eu relays', async () => (await holders()) === 'eu');
    const far = await sidecar('ap');
    await until('both regions are listed as healthy', async () => (await regionsOf('ap')) === 'eu true,ap true');

    const room = await stack.stream();
    const sent = [];
    const send = async (count) => {
      for (let i = 0; i < count; i++) sent.push(await center.ask('send', room, { content: `${how} ${sent.length}` }));
    };
    center.frames.length = 0;
    await center.ask('client', { ...options(), token: stack.user().token(), timeoutMs: 2000 }, 2000);
    await center.ask('subscribe', room);
    await send(5);
    await handled(5);
    assert.equal(await center.ask('region'), url('eu'));

    await network.cut('eu', how);
    let restored = false;
    t.after(() => restored || network.restore('eu', how));
    await send(5);
    assert.equal(await center.ask('region'), url('ap'));
    await handled(10);
    await until('ap relays', async () => (await holders()) === 'ap', FAILOVER_LIMIT_MS);
    await until('eu is left out', async () => (await regionsOf('ap')) === 'ap true', FAILOVER_LIMIT_MS);
    const { text: metrics } = await center.ask('get', `${url('ap')}/metrics`);
    assert.match(metrics, /^sealcast_region_healthy\{region="eu"\} 0$/m);
    assert.match(metrics, /^sealcast_region_healthy\{region="ap"\} 1$/m);
    await send(5);
    await handled(15);

    await network.restore('eu', how);
    restored = true;
    await until('eu is back', async () => (await regionsOf('ap')) === 'eu true,ap true', FAILOVER_LIMIT_MS);
    await until('eu serves', async () => (await center.ask('get', `${url('eu')}/readyz`)).status === 200, FAILOVER_LIMIT_MS);
    await send(5);
    await handled(20);
    assert.equal(await center.ask('region'), url('ap'), 'the client does not return at once');

    assert.deepEqual(center.frames.map(({ offset }) => offset), Array.from({ length: 20 }, (_, i) => i + 1));
    assert.deepEqual(center.frames.map(({ txnId }) => txnId), sent);
    assert.deepEqual(new Set(await stack.stored(room)), new Set(sent));
    // The history of the restored region has the messages that the other region relayed.
    const { text } = await center.ask('get', `${url('eu')}/streams/${room}/messages?after=0`);
    assert.deepEqual(JSON.parse(text).messages.map(({ envelope }) => envelope.txn_id), sent);
    await center.ask('unsubscribe');
    await near.stop();
    await far.stop();
  });
}

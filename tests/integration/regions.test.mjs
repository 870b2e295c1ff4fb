// GET /regions: the caller's address, its location, and the regions in order of distance.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { damageDatabase, makeDatabase } from './geoip.mjs';
import { request } from './http.mjs';
import { freePort, PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const CALLERS = ['203.0.113.0/24 FR 48.86 2.33', '198.51.100.0/24 AU', '2001:db8::/32 BR', '192.0.2.0/24 XX'];

let stack, sidecar, database;
before(async () => {
  stack = await PrivateStack.create();
  database = makeDatabase(join(stack.directory, 'geoip.mmdb'), CALLERS);
  // Three addresses of one sidecar represent three regions. Nothing listens at the address of the fourth region.
  const port = await freePort();
  const at = (address) => `http://${address}:${port}`;
  const list = [
    `us ${at('127.0.0.2')} 40.71 -74.01`,
    `eu ${at('127.0.0.3')}/ 50.11 8.68`,
    `ap ${at('127.0.0.4')} -33.87 151.22`,
    `gone http://127.0.0.1:${await freePort()} 48.86 2.33`,
  ];
  sidecar = await stack.sidecar({
    SEALCAST_HTTP_LISTEN: `0.0.0.0:${port}`,
    SEALCAST_HTTP_TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8',
    SEALCAST_HTTP_CORS_ORIGINS: '*',
    SEALCAST_REGIONS_LIST: list.join(),
    SEALCAST_REGIONS_DATABASE_FILE: database,
    SEALCAST_REGIONS_PROBE_MS: '100',
  });
  sidecar.url = at('127.0.0.1');
  await until('the region without an answer is left out, and the others are measured', async () => {
    const { regions } = (await ask()).json;
    return regions.length === 3 && regions.every((region) => region.rtt_ms !== null);
  });
});
after(() => stack.close());

const ask = (forwardedFor, url = sidecar.url) =>
  request(`${url}/regions`, { headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor } });

async function order(forwardedFor, url) {
  const { json } = await ask(forwardedFor, url);
  return `${json.located} ${json.regions.map(({ name }) => name).join(' ')}`;
}

test('the answer lists the healthy regions, the nearest first, and may be cached for a minute', async () => {
  const { status, headers, json } = await ask('203.0.113.9');
  assert.equal(status, 200);
  assert.equal(headers['cache-control'], 'private, max-age=60');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(json.located, 'FR');
  assert.deepEqual(json.regions.map(({ name }) => name), ['eu', 'us', 'ap']);
  const [eu] = json.regions;
  assert.deepEqual(Object.keys(eu), ['name', 'url', 'healthy', 'distance_km', 'rtt_ms']);
  assert.match(eu.url, /^http:\/\/127\.0\.0\.3:\d+$/, 'the slash at the end is removed');
  assert.deepEqual([eu.healthy, eu.distance_km], [true, 479]);
  assert.ok(Number.isInteger(eu.rtt_ms));
});

test('City and Country records locate IPv4 and IPv6 callers, and an unknown caller gets the configured order', async () => {
  assert.equal(await order('198.51.100.7'), 'AU ap us eu');
  assert.equal(await order('2001:db8::7'), 'BR us eu ap');
  for (const unknown of [undefined, '192.0.2.7', '127.0.0.9', '8.8.8.8']) {
    const { json } = await ask(unknown);
    assert.deepEqual(json.regions.map(({ name, distance_km: km }) => [name, km]), [['us', null], ['eu', null], ['ap', null]]);
    assert.equal(json.located, null);
  }
});

test('X-Forwarded-For is trusted from configured proxies only, and only the part that they wrote', async () => {
  assert.equal(await order('203.0.113.9, 198.51.100.7'), 'AU ap us eu', 'the part that the client wrote is ignored');
  assert.equal(await order('198.51.100.7, 10.1.2.3'), 'AU ap us eu', 'over two proxies');
  assert.equal(await order('198.51.100.7:4711, 10.1.2.3'), 'AU ap us eu');
  assert.equal(await order('198.51.100.7, unknown'), 'null us eu ap', 'a list that cannot be read');
  const headers = { 'x-forwarded-for': '198.51.100.7' };
  const { json } = await request(`${sidecar.url}/regions`, { headers, from: '127.0.0.5' });
  assert.equal(json.located, null, 'another peer is not a trusted proxy');
});

test('a changed Geo-IP database is read again, and a broken one is ignored', async () => {
  makeDatabase(database, ['203.0.113.0/24 AU']);
  await until('the new database is read', async () => (await order('203.0.113.9')) === 'AU ap us eu');
  makeDatabase(database, CALLERS);
  await until('the old database is read again', async () => (await order('203.0.113.9')) === 'FR eu us ap');
  const logged = (...words) =>
    sidecar.log.some((line) => ['[REGIONS]', ...words].every((word) => line.includes(word)));
  assert.ok(logged('the Geo-IP database was read again'));
  assert.ok(logged('a region is unhealthy', '"gone"'));
  writeFileSync(database, 'half of a download');
  await until('the broken database is refused', () => logged('cannot be read again'));
  assert.equal(await order('203.0.113.9'), 'FR eu us ap');
  assert.ok(!sidecar.log.some((line) => line.includes('203.0.113.9')), 'no address of a caller is logged');
});

for (const [what, reason, write] of [
  ['random bytes under good metadata', 'is a damaged Geo-IP database (its search tree points outside the file); download it again', () => {
    damageDatabase(makeDatabase(`${database}.good`, CALLERS), database);
  }],
  ['a good search tree with random records', 'is a damaged Geo-IP database (a record cannot be decoded); download it again', () => {
    damageDatabase(makeDatabase(`${database}.good`, CALLERS), database, { recordsOnly: true });
  }],
  ['records without countries and places', 'is a database without countries and places; name a City or Country .mmdb', () => {
    makeDatabase(database, ['203.0.113.0/24 -', '198.51.100.0/24 -']);
  }],
  ['a country that is none', 'is a damaged Geo-IP database (the country of a record is no short ASCII text)', () => {
    makeDatabase(database, ['203.0.113.0/24 \u00c4\u00d6', '198.51.100.0/24 AU']);
  }],
]) {
  test(`a Geo-IP database that has ${what} does not replace the last one`, async () => {
    makeDatabase(database, ['203.0.113.0/24 DE 50.11 8.68']);
    await until('the good database is read', async () => (await order('203.0.113.9')) === 'DE eu us ap');
    write();
    const refused = (line) => line.includes('the last one stays in use') && line.includes(database) && line.includes(reason);
    await until('the damaged database is refused', () => sidecar.log.some(refused));
    assert.equal(await order('203.0.113.9'), 'DE eu us ap');
    await assert.rejects(stack.sidecar({ SEALCAST_GATE_SOCKET: '', SEALCAST_REGIONS_DATABASE_FILE: database }), (error) => error.message.includes(reason));
  });
}

test('a Geo-IP database may name a network without a country in its own way', async () => {
  makeDatabase(database, ['203.0.113.0/24 AU', '198.51.100.0/24 PRIVATE']);
  await until('the database is read', async () => (await order('203.0.113.9')).startsWith('AU '));
});

test('without regions the list is empty', async () => {
  const alone = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const { json } = await ask(undefined, alone.url);
  assert.deepEqual(json, { regions: [], located: null });
  await alone.stop();
});

test('a sidecar does not start with an invalid Geo-IP database, and reports it', async () => {
  await assert.rejects(
    stack.sidecar({ SEALCAST_GATE_SOCKET: '', SEALCAST_REGIONS_DATABASE_FILE: '/etc/hostname' }),
    /sealcastd: regions\.database_file: "\/etc\/hostname" is not a Geo-IP database/,
  );
});

test('a sidecar with regions stops without an error', () => sidecar.stop());

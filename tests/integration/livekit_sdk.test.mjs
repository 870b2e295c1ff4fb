// LiveKit's own SDK, livekit-server-sdk, against the simulated LiveKit of tests/contracts: a simulation that is too strict or too kind
// fails here. And the egress example of docs/examples against the same.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { ContractService } from './contract_service.mjs';
import { EgressExample } from './egress_example.mjs';
import { until } from './waiting.mjs';

globalThis.crypto ??= webcrypto; // Node.js 18 has no global crypto
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // the SDK cannot be given the certificate of the simulation
const { AccessToken, EgressClient, EgressStatus, RoomServiceClient, S3Upload, SegmentedFileOutput } = await import('livekit-server-sdk');

const [KEY, SECRET] = ['the.key', 'secret'];
const STATUS = { ...EgressStatus }; // by number and by name

let livekit, egress;
before(async () => {
  livekit = await ContractService.start('livekit');
  egress = new EgressClient(livekit.url, KEY, SECRET);
});
after(() => livekit?.close());

const setRooms = (...names) => livekit.command({ do: 'rooms', rooms: Object.fromEntries(names.map((name) => [name, 3])) });
const output = (more) => new SegmentedFileOutput({ filenamePrefix: 'show/{time}', playlistName: '{time}.m3u8', livePlaylistName: 'live.m3u8', ...more });
const becomes = (id, status) =>
  until(`the egress is ${STATUS[status]}`, async () => (await egress.listEgress({ egressId: id }))[0].status === status);
const refuses = (promise, status, code, message) =>
  assert.rejects(promise, (error) => {
    assert.deepEqual([error.status, error.code, error.message], [status, code, message]);
    return true;
  });

test('ListRooms: all rooms, and those with given names', async () => {
  const rooms = new RoomServiceClient(livekit.url, KEY, SECRET);
  assert.deepEqual(await rooms.listRooms(), []);
  await livekit.command({ do: 'rooms', rooms: { a: { participants: 12, publishers: 2 }, b: 3, c: 0 } });
  const counts = (list) => list.map(({ name, numParticipants, numPublishers }) => [name, numParticipants, numPublishers]);
  assert.deepEqual(counts(await rooms.listRooms()), [['a', 12, 2], ['b', 4, 1], ['c', 1, 1]]);
  assert.deepEqual(counts(await rooms.listRooms(['c', 'unknown', 'a'])), [['c', 1, 1], ['a', 12, 2]]);
});

test('tokens: any lifetime is accepted; a wrong one is refused in plain text, a missing grant as JSON', async () => {
  const withToken = async (video, secret = SECRET, ttl = undefined) => {
    const token = new AccessToken(KEY, secret, { ttl });
    token.addGrant(video);
    return new RoomServiceClient(livekit.url, KEY, secret, { token: await token.toJwt() });
  };
  await (await withToken({ roomList: true })).listRooms(); // 6 hours, the default of AccessToken
  await refuses((await withToken({ roomList: true }, 'wrong')).listRooms(), 401, undefined, 'invalid authorization token: token signature is invalid: signature is invalid');
  await refuses((await withToken({ roomList: true }, SECRET, '-2m')).listRooms(), 401, undefined, 'invalid authorization token: token has invalid claims: token is expired');
  await (await withToken({ roomList: true }, SECRET, '-30s')).listRooms(); // a minute of leeway
  await refuses(new RoomServiceClient(livekit.url, 'another', SECRET).listRooms(), 401, undefined, 'invalid API key');
  await refuses((await withToken({ roomRecord: true })).listRooms(), 401, 'unauthenticated', 'permissions denied');
});

test('an egress starts, is active, ends, and is complete; each takes time', async () => {
  await setRooms('show');
  const storage = new S3Upload({ bucket: 'hls', accessKey: 'id', secret: 'hidden', region: 'eu', endpoint: 'https://minio', forcePathStyle: true });
  const { egressId, status, request } = await egress.startRoomCompositeEgress('show', output({ output: { case: 's3', value: storage } }), { layout: 'speaker' });
  assert.equal(status, EgressStatus.EGRESS_STARTING);
  const echoed = request.value.segmentOutputs[0].output.value;
  assert.deepEqual([echoed.bucket, echoed.accessKey, echoed.secret], ['hls', '{access_key}', '{secret}']);
  await becomes(egressId, EgressStatus.EGRESS_ACTIVE);
  await livekit.command({ do: 'lag', start_ms: 50, end_ms: 500 });
  assert.equal((await egress.stopEgress(egressId)).status, EgressStatus.EGRESS_ENDING);
  const active = await egress.listEgress({ roomName: 'show', active: true });
  assert.deepEqual(active.map((each) => [each.egressId, each.status]), [[egressId, EgressStatus.EGRESS_ENDING]], 'an ending egress is listed as active');
  assert.equal((await egress.stopEgress(egressId)).status, EgressStatus.EGRESS_ENDING, 'its handler answers again');
  await becomes(egressId, EgressStatus.EGRESS_COMPLETE);
  await refuses(egress.stopEgress(egressId), 412, 'failed_precondition', 'egress with status EGRESS_COMPLETE cannot be stopped');
  assert.deepEqual(await egress.listEgress({ roomName: 'show', active: true }), []);
  assert.equal((await egress.listEgress('show')).length, 1);
});

test('an egress that is stopped before it has started is aborted', async () => {
  await setRooms('show');
  await livekit.command({ do: 'lag', start_ms: 10_000, end_ms: 50 });
  const { egressId } = await egress.startRoomCompositeEgress('show', output());
  const { status, error } = await egress.stopEgress(egressId);
  assert.deepEqual([status, error], [EgressStatus.EGRESS_ABORTED, 'Stop called before pipeline could start']);
});

test('requests for an egress that cannot be are refused', async () => {
  await setRooms('show');
  const start = (room, what) => egress.startRoomCompositeEgress(room, what);
  const invalid = (field) => [400, 'invalid_argument', `request has missing or invalid field: ${field}`];
  await refuses(start('nobody is here', output()), 404, 'not_found', 'requested room does not exist');
  await refuses(start('show', {}), ...invalid('output'));
  await refuses(start('', output()), ...invalid('token or api key/secret'));
  await refuses(start('show', output({ playlistName: 'live.m3u8' })), ...invalid('live_playlist_name cannot be identical to playlist_name'));
  await refuses(start('show', output({ livePlaylistName: 'other/live.m3u8' })), ...invalid('live_playlist_name must be in same directory as playlist_name'));
  await refuses(egress.stopEgress('EG_unknown'), 404, 'not_found', 'egress does not exist');
  await refuses(egress.listEgress({ egressId: 'EG_unknown' }), 404, 'not_found', 'egress does not exist');
});

test('what the SDK cannot send: snake_case and unknown members are read, a wrong type is malformed', async () => {
  const token = new AccessToken(KEY, SECRET);
  token.addGrant({ roomRecord: true });
  const post = async (method, body, contentType = 'application/json') => {
    const headers = { authorization: `Bearer ${await token.toJwt()}`, 'content-type': contentType };
    const answer = await fetch(`${livekit.url}/twirp/livekit.Egress/${method}`, { method: 'POST', headers, body });
    return [answer.status, (await answer.json()).code];
  };
  assert.deepEqual(await post('ListEgress', '{"room_name":"show","unknown":7}'), [200, undefined]);
  for (const body of ['', '[]', '{"room_name":7}', '{"active":"yes"}', '{"room_name":"a","roomName":"b"}']) {
    assert.deepEqual(await post('ListEgress', body), [400, 'malformed'], body);
  }
  assert.deepEqual(await post('ListEgress', '{}', 'text/plain'), [404, 'bad_route']);
  assert.deepEqual(await post('Unknown', '{}'), [404, 'bad_route']);
});

// Sends a signed call to the example.
async function call(example, type, room, signature) {
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data: { stream_id: room, viewers: 9 } });
  const now = Math.floor(Date.now() / 1000);
  const sealed = signature?.(`id.${now}.${body}`) ?? new Webhook(example.secret).sign('id', new Date(now * 1000), body);
  const headers = { 'webhook-id': 'id', 'webhook-timestamp': String(now), 'webhook-signature': sealed };
  return (await fetch(example.url, { method: 'POST', headers, body })).status;
}
const egressesOf = async (room) => (await livekit.command({ do: 'egresses' })).egresses.filter((each) => each.room_name === room);
const statusesOf = async (room) => (await egressesOf(room)).map(({ status }) => status.replace('EGRESS_', ''));

test('the example: a warm-up while the last egress is ending starts another, with files of its own', async (t) => {
  const example = await EgressExample.start(livekit);
  t.after(() => example.stop());
  const room = 'again';
  assert.equal(await call(example, 'stream.warm_up', room), 500, 'nobody is in the room yet');
  await setRooms(room);
  await livekit.command({ do: 'lag', start_ms: 50, end_ms: 60_000 });
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => call(example, 'stream.warm_up', room))), [204, 204, 204]);
  await until('the egress is active', async () => (await statusesOf(room)).join() === 'ACTIVE');
  assert.equal(await call(example, 'stream.warm_up', room), 204);
  assert.equal(await call(example, 'stream.cool_down', room), 204);
  assert.deepEqual(await statusesOf(room), ['ENDING']);
  const begun = new Date((await egressesOf(room))[0].started_at / 1e6).getUTCSeconds();
  await until('the next second, because {time} has seconds', () => new Date().getUTCSeconds() !== begun);
  assert.equal(await call(example, 'stream.warm_up', room), 204);
  const [ended, fresh] = await egressesOf(room);
  assert.equal(fresh.status, 'EGRESS_STARTING');
  assert.notEqual(fresh.segment_results[0].playlist_name, ended.segment_results[0].playlist_name);
  for (const each of [ended, fresh]) {
    assert.equal(each.segment_results[0].live_playlist_name, `${room}/live.m3u8`);
    const [{ filename_prefix: prefix, s3 }] = each.room_composite.segment_outputs;
    assert.equal(prefix, `${room}/{time}`, 'segments do not overwrite those of another egress');
    assert.equal(s3, undefined, 'the storage is that of the egress service');
  }
  await until('the second egress is active', async () => (await statusesOf(room))[1] === 'ACTIVE');
  assert.equal(await call(example, 'stream.cool_down', room), 204);
  await livekit.command({ do: 'workers', gone: true }); // StopEgress on an ending egress is refused with 412
  t.after(() => livekit.command({ do: 'workers', gone: false }));
  assert.equal(await call(example, 'stream.cool_down', room), 204);
});

test('the example: HLS_S3 replaces the whole storage, and a public key verifies', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const secret = `whpk_${publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`;
  const s3 = { bucket: 'hls', access_key: 'id', secret: 'hidden', endpoint: 'https://minio', force_path_style: true };
  const example = await EgressExample.start(livekit, { secret, env: { HLS_S3: JSON.stringify(s3) } });
  t.after(() => example.stop());
  const signed = (content) => `v1,AAAA v1a,${sign(null, Buffer.from(content), privateKey).toString('base64')}`;
  await setRooms('elsewhere');
  assert.equal(await call(example, 'stream.warm_up', 'elsewhere', () => `v1a,${'A'.repeat(86)}==`), 401);
  assert.equal(await call(example, 'stream.warm_up', 'elsewhere', signed), 204);
  const [{ room_composite: request }] = await egressesOf('elsewhere');
  const { bucket, endpoint, force_path_style: pathStyle, access_key: key } = request.segment_outputs[0].s3;
  assert.deepEqual({ bucket, endpoint, pathStyle, key }, { bucket: 'hls', endpoint: 'https://minio', pathStyle: true, key: '{access_key}' });
});

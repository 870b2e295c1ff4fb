// Runs the real SDK of Ably, ably-js, against the local services that stand in for Ably in the other tests
// (tests/contracts/ably.mjs, services.mjs), so that one that is too strict is found.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Realtime, Rest } from 'ably';
import { ContractService } from '../integration/contract_service.mjs';
import { until } from '../integration/waiting.mjs';
import { closeAtEnd } from './close_at_end.mjs';
import { AblyService } from './services.mjs';

const KEY = 'the.key:secret';
const SIX_HOURS_MS = 6 * 3_600_000;
const formats = { MessagePack: true, JSON: false };

let service, revocable; // the key of the second is set to revocable tokens
let options; // of a client of the service
before(async () => {
  service = await ContractService.start('ably');
  revocable = await ContractService.start('ably', '--revocable');
  options = optionsOf(service);
});
after(async () => {
  await service?.close();
  await revocable?.close();
});

function optionsOf({ url, certificates }) {
  const { hostname, port } = new URL(url);
  return { restHost: hostname, tlsPort: Number(port), restAgentOptions: { ca: readFileSync(certificates) }, logLevel: 0 };
}

const published = async (channel) => (await service.command({ do: 'messages', channel })).messages;
const codeOf = (call) => call.then(() => 'no error', ({ code, statusCode }) => `${statusCode} ${code}`);

for (const [format, useBinaryProtocol] of Object.entries(formats)) {
  test(`ably-js publishes single messages and arrays in ${format}, and its repeats are recognised`, async () => {
    await service.command({ do: 'forget' });
    const rest = new Rest({ ...options, key: KEY, useBinaryProtocol });
    const channel = rest.channels.get(`a/b ${format}`);
    await channel.publish('message', { offset: 1 });
    await channel.publish([{ name: 'message', data: 'text' }, { data: Buffer.from('bytes') }, { data: null }]);
    await channel.publish({ name: 'message', data: 'mine', clientId: 'who', extras: { headers: { a: 'b' } } });
    for (let times = 0; times < 2; times++) {
      await channel.publish({ id: `single ${format}`, data: 'once' });
      await channel.publish([{ id: `base ${format}:0`, data: 'first' }, { id: `base ${format}:1`, data: 'second' }]);
    }
    const messages = await published(`a/b ${format}`);
    assert.deepEqual(messages.map(({ data }) => data ?? null), [
      '{"offset":1}', 'text', Buffer.from('bytes').toString('base64'), null, 'mine', 'once', 'first', 'second',
    ]);
    assert.match(messages[0].id, /^.+:0$/, 'the SDK gives each publish an idempotency key');
    assert.equal(messages[2].id, messages[1].id.replace(/0$/, '1'));
    assert.equal((await service.command({ do: 'stats' })).repeats, 3);
  });

  test(`ably-js gets tokens of six hours in ${format}, and publishes with them what they allow`, async () => {
    const issuer = new Rest({ ...options, key: KEY, useBinaryProtocol });
    const capability = { allowed: ['publish'] };
    const token = await issuer.auth.requestToken({ ttl: SIX_HOURS_MS, clientId: 'who', capability });
    assert.equal(token.expires - token.issued, SIX_HOURS_MS);
    assert.deepEqual([token.clientId, JSON.parse(token.capability)], ['who', capability]);
    const rest = new Rest({ ...options, token: token.token, useBinaryProtocol });
    await rest.channels.get('allowed').publish('message', 'with a token');
    assert.equal(await codeOf(rest.channels.get('another').publish('message', 'x')), '401 40160');
    assert.equal(await codeOf(rest.channels.get('allowed').publish({ data: 'x', clientId: 'another' })), '400 40012');
    const wide = await issuer.auth.requestToken(); // without a capability, a ttl or a clientId
    await new Rest({ ...options, token: wide.token, useBinaryProtocol }).channels.get('another').publish('message', 'y');
    assert.equal((await published('allowed')).at(-1).data, 'with a token');
  });

  test(`ably-js reads with a token of six hours in ${format}, and hears of messages that Ably has dropped`, async () => {
    const realtime = await AblyService.start();
    realtime.requireTokens(KEY);
    closeAtEnd(() => realtime.close());
    const issuer = new Rest({ key: KEY });
    const authCallback = (params, callback) =>
      issuer.auth.createTokenRequest({ ttl: SIX_HOURS_MS, capability: { room: ['subscribe'] } }).then((request) => callback(null, request), callback);
    const sdk = new Realtime({
      authCallback, realtimeHost: '127.0.0.1', restHost: '127.0.0.1', port: realtime.port, tls: false, useBinaryProtocol, logLevel: 0,
    });
    closeAtEnd(() => sdk.close());
    const channel = sdk.channels.get('room');
    const read = [];
    const updates = [];
    channel.on('update', (change) => updates.push(change));
    await channel.subscribe('message', ({ data }) => read.push(data));
    realtime.publish('room', { offset: 1 });
    await until('the message is read', () => read.length === 1);
    assert.deepEqual(read, [{ offset: 1 }]);
    realtime.loseContinuity('room');
    await until('the loss is reported', () => updates.length === 1);
    assert.deepEqual([updates[0].current, updates[0].resumed, updates[0].reason.code], ['attached', false, 80020]);
    assert.match(await sdk.channels.get('elsewhere').attach().then(() => '', ({ message }) => message), /not permitted/);
    sdk.close();
    realtime.close();
  });

  test(`ably-js revokes tokens by clientId in ${format}`, async () => {
    const rest = new Rest({ ...optionsOf(revocable), key: KEY, useBinaryProtocol });
    // The SDK cannot renew a literal token, so a refused one (40141) becomes 40171.
    const publish = ({ token }) => codeOf(new Rest({ ...optionsOf(revocable), token, useBinaryProtocol }).channels.get('room').publish('message', 'x'));
    const [who, other] = await Promise.all(['who', 'other'].map((clientId) => rest.auth.requestToken({ clientId })));
    const asked = [{ type: 'clientId', value: 'who' }, { type: 'invalidType', value: 'abc' }, { type: 'channel', value: 'room' }];
    const { successCount, failureCount, results } = await rest.auth.revokeTokens(asked);
    assert.deepEqual([successCount, failureCount], [1, 2]);
    assert.deepEqual(results.map(({ target }) => target), ['clientId:who', 'invalidType:abc', 'channel:room']);
    assert.equal(results[0].appliesAt, results[0].issuedBefore);
    assert.deepEqual(results.map(({ error }) => error?.code), [undefined, 40000, 40121]);
    const again = await rest.auth.requestToken({ clientId: 'who' });
    assert.deepEqual(await Promise.all([who, other, again].map(publish)), ['403 40171', 'no error', 'no error']);
    const now = Date.now();
    const [late] = (await rest.auth.revokeTokens([{ type: 'clientId', value: 'other' }], { issuedBefore: now - 1_200_000, allowReauthMargin: true })).results;
    assert.equal(late.issuedBefore, now - 1_200_000);
    assert.ok(late.appliesAt >= now + 30_000);
    assert.equal(await publish(other), 'no error', 'it was issued later');
  });

  test(`the refusals and the older answers of a revocation in ${format}`, async () => {
    const target = [{ type: 'clientId', value: 'x' }];
    const rest = new Rest({ ...optionsOf(revocable), key: KEY, useBinaryProtocol });
    const revoke = (more) => codeOf(rest.auth.revokeTokens(target, more));
    assert.equal(await revoke({ issuedBefore: Date.now() + 60_000 }), '400 40003');
    assert.equal(await revoke({ issuedBefore: Date.now() - 3_700_000 }), '400 40003');
    assert.equal(await codeOf(rest.auth.revokeTokens([])), '400 40003');
    assert.equal(await codeOf(rest.auth.revokeTokens(Array(101).fill(target[0]))), '400 40003');
    assert.equal(await codeOf(rest.auth.requestToken({ ttl: SIX_HOURS_MS })), '400 40003', 'a revocable token lasts an hour at most');
    assert.equal(await codeOf(new Rest({ ...optionsOf(revocable), key: 'the.key:wrong', useBinaryProtocol }).auth.revokeTokens(target)), '401 40101');
    assert.equal(await codeOf(new Rest({ ...options, key: KEY, useBinaryProtocol }).auth.revokeTokens(target)), '401 40163');
    const request = async (path, version, body, headers) => {
      const { statusCode, errorCode, items } = await rest.request('post', path, version, null, body, headers);
      return [statusCode, errorCode, items];
    };
    const own = '/keys/the.key/revokeTokens';
    const { token } = await rest.auth.requestToken();
    const bearer = { authorization: `Bearer ${Buffer.from(token).toString('base64')}` };
    assert.deepEqual((await request(own, 3, { targets: ['clientId:x'] }, bearer)).slice(0, 2), [401, 40162]);
    assert.deepEqual((await request('/keys/the.other/revokeTokens', 3, { targets: ['clientId:x'] })).slice(0, 2), [401, 40133]);
    const [status, , results] = await request(own, 2, { targets: ['clientId:x', 'clientId:y'] });
    assert.deepEqual([status, results.map((result) => result.target)], [201, ['clientId:x', 'clientId:y']]);
    assert.deepEqual((await request(own, 2, { targets: ['clientId:x', 'nothing'] })).slice(0, 2), [400, 40020]);
  });

  test(`ably-js is disconnected with 40141 in ${format}, and asks for another token`, async () => {
    const realtime = await AblyService.start();
    realtime.requireTokens(KEY, { revocable: true });
    closeAtEnd(() => realtime.close());
    const rest = new Rest({ key: KEY });
    let asked = 0;
    const authCallback = (params, callback) => {
      asked++;
      rest.auth.createTokenRequest({ clientId: 'who', capability: { room: ['subscribe'] } }).then((request) => callback(null, request), callback);
    };
    const sdk = new Realtime({
      authCallback, realtimeHost: '127.0.0.1', restHost: '127.0.0.1', port: realtime.port, tls: false, useBinaryProtocol, logLevel: 0,
    });
    closeAtEnd(() => sdk.close());
    await sdk.channels.get('room').attach();
    assert.equal(sdk.auth.clientId, 'who');
    const disconnected = new Promise((resolve) => sdk.connection.once('disconnected', resolve));
    realtime.revoke('who');
    assert.equal((await disconnected).reason.code, 40141);
    await until('it has another token', () => asked === 2 && sdk.connection.state === 'connected');
    sdk.close();
    realtime.close();
  });
}

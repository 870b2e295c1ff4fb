// Revocation of readers' tokens at Ably, when a user is banned or loses the role: by every way of banning, over failures and restarts,
// and with a key whose tokens cannot be revoked. tests/client/ably_revocation.test.mjs has the readers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ContractService } from './contract_service.mjs';
import { request } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const CANNOT_REVOKE = 'the service cannot revoke tokens';

let stack, ably, settings, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  ably = await ContractService.start('ably', '--revocable');
  settings = { SEALCAST_ABLY_URL: ably.url, SEALCAST_ABLY_KEY_FILE: ably.keyFile, SEALCAST_ABLY_CA_FILE: ably.certificates };
  sidecar = await start();
});
after(async () => {
  await ably?.close();
  await stack?.close();
});

// Starts a sidecar, and waits until it delivers to Ably: from then on, bans are recorded.
async function start(more = {}) {
  const started = await stack.sidecar({ ...settings, ...more });
  await until('it delivers to Ably', async () => (await count("select count(*) from sealcast.deliveries where transport = 'ably'")) > 0);
  return started;
}

const count = async (query, parameters) => Number((await stack.query(query, parameters))[0].count);
const waiting = (user) => count('select count(*) from sealcast_internal.revocations where user_id = $1', [user.id]);
const due = (user) => count('select count(*) from sealcast_internal.revocations where user_id = $1 and due_at <= clock_timestamp()', [user.id]);
const revocations = async (user) =>
  (await ably.command({ do: 'revocations' })).revocations.filter(({ target }) => target === `clientId:${user.id}`).length;
const isRevoked = (user, times = 1) => until('the tokens are revoked', async () => (await revocations(user)) === times);
const banBySql = (user, room) =>
  stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) values ($1, $2, 'ban')", [user.id, room]);
const call = (user, name, body) => request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: user.headers, body });
const counted = async (outcome) => {
  const { text } = await request(`${sidecar.url}/metrics`);
  return Number(new RegExp(`^sealcast_token_revocations_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(text)[1]);
};
const lines = (text) => sidecar.log.filter((line) => line.includes(text)).length;

// A private stream with an owner and a member.
async function room() {
  const streamId = await stack.stream({ visibility: 'private' });
  const [owner, member] = [stack.user(), stack.user()];
  await stack.grant(streamId, owner, 'owner');
  await stack.grant(streamId, member, 'member');
  return { streamId, owner, member };
}

test('the tokens are revoked after a ban over HTTP, a ban by SQL, and the loss of the role', async () => {
  const ways = [
    ({ streamId, owner, member }) => call(owner, 'ban', { stream_id: streamId, user_id: member.id }),
    ({ streamId, owner, member }) => call(owner, 'set_role', { stream_id: streamId, user_id: member.id, role: null }),
    ({ streamId, member }) => banBySql(member, streamId),
    ({ member }) => banBySql(member, null),
    ({ streamId, member }) => stack.query('delete from sealcast.stream_roles where user_id = $1 and stream_id = $2', [member.id, streamId]),
  ];
  for (const take of ways) {
    const there = await room();
    const answer = await take(there);
    assert.ok(answer.status === undefined || answer.status === 204, answer.text);
    await isRevoked(there.member);
    await until('only the second revocation waits', async () => (await waiting(there.member)) === 1);
    assert.equal(await revocations(there.owner), 0);
  }
});

test('a second revocation catches a token request that was signed before the ban', async () => {
  const { streamId, member } = await room();
  await banBySql(member, streamId);
  await isRevoked(member);
  await stack.query('update sealcast_internal.revocations set due_at = clock_timestamp() where user_id = $1', [member.id]);
  await isRevoked(member, 2);
  await until('nothing waits', async () => (await waiting(member)) === 0);
});

test('more users than one request takes are revoked', async () => {
  const streamId = await stack.stream({ visibility: 'private' });
  const members = Array.from({ length: 250 }, () => stack.user());
  await stack.query("insert into sealcast.stream_roles (stream_id, user_id, role) select $1, m, 'member' from unnest($2::uuid[]) m", [streamId, members.map(({ id }) => id)]);
  await stack.query('delete from sealcast.stream_roles where stream_id = $1', [streamId]);
  await until('all are revoked', async () => {
    const { revocations: made } = await ably.command({ do: 'revocations' });
    const targets = new Set(made.map(({ target }) => target));
    return members.every(({ id }) => targets.has(`clientId:${id}`));
  });
});

test('a ban while Ably fails is revoked when Ably works again, and the log has two lines', async () => {
  const { streamId, member } = await room();
  const failed = await counted('failed');
  await ably.faults({ fail_share: 1 });
  await banBySql(member, streamId);
  await until('Ably has refused twice', async () => (await counted('failed')) >= failed + 2);
  assert.equal(await revocations(member), 0);
  await ably.faults();
  await isRevoked(member);
  await until('the log says so', () => lines('are revoked again') === 1);
  assert.equal(lines('are not revoked; retrying'), 1);
});

test('after a partial failure, the failed target is retried', async () => {
  const { streamId, owner, member } = await room();
  const results = [{ target: `clientId:${owner.id}`, issuedBefore: 1, appliesAt: 1 }, { target: `clientId:${member.id}`, error: { code: 50000, message: 'why' } }];
  await ably.faults({ answer: { status: 201, body: JSON.stringify({ successCount: 1, failureCount: 1, results }), only: '' } });
  await stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) values ($1, $3, 'ban'), ($2, $3, 'ban')", [owner.id, member.id, streamId]);
  await until('one has ended', async () => (await due(owner)) === 0);
  assert.equal(await due(member), 1);
  await until('the reason is logged', () => lines('(50000): why') > 0);
  await ably.faults();
  await isRevoked(member);
  assert.equal(await revocations(owner), 0, 'the other is not repeated');
});

test('a ban while no sidecar runs is revoked by the next one', async () => {
  const { streamId, member } = await room();
  await sidecar.stop();
  await banBySql(member, streamId);
  assert.equal(await waiting(member), 2);
  sidecar = await start();
  await isRevoked(member);
});

test('only the leader revokes', async () => {
  const other = await start({ SEALCAST_GATE_SOCKET: '' });
  const members = [];
  for (let i = 0; i < 5; i++) {
    const { streamId, member } = await room();
    await banBySql(member, streamId);
    members.push(member);
  }
  for (const member of members) await until('it has ended', async () => (await due(member)) === 0);
  for (const member of members) assert.equal(await revocations(member), 1);
  await other.stop();
});

test('with a key whose tokens cannot be revoked, one line advises the operator, and nothing is retried', async () => {
  await ably.command({ do: 'revocable', value: false });
  const impossible = await counted('impossible');
  for (let times = 1; times <= 3; times++) {
    const { streamId, member } = await room();
    await banBySql(member, streamId);
    await until('it is given up', async () => (await due(member)) === 0);
    assert.equal(await counted('impossible'), impossible + times);
    assert.equal(await revocations(member), 0);
  }
  assert.equal(lines(CANNOT_REVOKE), 1);
  assert.equal(sidecar.log.filter((line) => line.includes(CANNOT_REVOKE) && line.includes('Revocable tokens') && line.includes('40163')).length, 1);
  await ably.command({ do: 'revocable', value: true });
});

test('without Ably, nothing is recorded and nothing is counted', async () => {
  await sidecar.stop();
  await stack.query("select sealcast.forget_transport('ably')");
  const plain = await stack.sidecar();
  const { streamId, member } = await room();
  await banBySql(member, streamId);
  assert.equal(await waiting(member), 0);
  assert.doesNotMatch((await request(`${plain.url}/metrics`)).text, /sealcast_token_revocations_total/);
});

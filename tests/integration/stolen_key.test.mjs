// A stolen signing key: it forges envelopes until it is removed, but a forged envelope cannot enter a stream.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signature } from './envelope.mjs';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  await stack.addKey('stolen');
  await stack.addKeyPair('stolen-pair');
  await stack.query('select pg_reload_conf()');
  sidecar = await stack.sidecar();
});
after(async () => {
  await sidecar?.stop();
  await stack?.close();
});

const verdict = async (envelope) => (await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: envelope })).json.result;

for (const [kid, file] of [['stolen', 'stolen'], ['stolen-pair', 'stolen-pair.ed25519']]) {
  test(`${file} forges envelopes until it is removed, and none of them enters a stream`, () => useStolenKey(kid, file));
}

async function useStolenKey(kid, file) {
  const room = await stack.stream();
  const genuine = (await send(sidecar.url, stack.user(), message(room))).json;
  const forged = { ...genuine, kid, s: randomUUID(), txn_id: randomUUID(), d: { content: 'forged' } };
  forged.sig = signature(forged, stack.keyring);
  await until('the key is known', async () => (await verdict(genuine)) === 'ok' && (await verdict(forged)) === 'ok');

  // No request accepts an envelope as a message.
  const victim = stack.user(forged.s);
  const answer = await send(sidecar.url, { headers: {} }, forged);
  assert.equal(answer.status, 401);
  assert.equal((await send(sidecar.url, victim, forged)).status, 400, 'members that only the server sets are refused');
  assert.deepEqual(await stack.stored(room), [genuine.txn_id]);
  const { messages } = (await request(`${sidecar.url}/streams/${room}/messages`)).json;
  assert.deepEqual(messages.map(({ envelope }) => envelope), [genuine]);

  rmSync(join(stack.keyring, file));
  await stack.query('select pg_reload_conf()');
  await until('the key is gone', async () => (await verdict(forged)) === 'unknown_kid');
  assert.equal(await verdict(genuine), 'ok', 'envelopes of other keys stay valid');
  assert.equal(await verdict({ ...forged, kid: genuine.kid }), 'bad_signature');
  await until('the key is not published either', async () => {
    const { keys } = (await request(`${sidecar.url}/.well-known/sealcast-keys`)).json;
    return !keys.some((key) => key.kid === kid);
  });
}

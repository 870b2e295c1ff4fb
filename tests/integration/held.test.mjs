// Held messages over HTTP and SQL: the answer 202, the queue, decisions at the same time, and a killed sidecar.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar, url;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  url = sidecar.url;
});
after(() => stack?.close());

// Each user has 5 calls per second, so a call beyond them is repeated.
async function patient(call) {
  let answer;
  await until('the rate allows a call', async () => (answer = await call()).status !== 429);
  return answer;
}
const sent = (user, body) => patient(() => send(url, user, body));
const headers = (user) => ({ authorization: `Bearer ${user.token()}` });
const call = (user, name, body) => patient(() => request(`${url}/rpc/${name}`, { method: 'POST', headers: headers(user), body }));
const queue = (user, id, more = '') => patient(() => request(`${url}/streams/${id}/held${more}`, { headers: headers(user) }));
const outcome = ({ status, json }) => [status, json?.code];

// A stream in which the word `maybe` holds.
async function room() {
  const [owner, moderator, guest] = [stack.user(), stack.user(), stack.user()];
  const id = await stack.stream();
  await stack.grant(id, owner, 'owner');
  await stack.grant(id, moderator, 'moderator');
  await stack.query("select sealcast.add_blocked_term($1, 'maybe', action => 'hold')", [id]);
  return { id, owner, moderator, guest };
}
const stored = async (id) => (await stack.query('select t, txn_id from sealcast.messages where stream_id = $1', [id])).length;
const heldId = async (user, id) => (await queue(user, id)).json.held[0].held_id;

test('a held message gets 202 and is in no stream until a moderator approves it', async () => {
  const { id, moderator, guest } = await room();
  const body = message(id, 'maybe');
  const first = await sent(guest, body);
  const { message: text, ...rest } = first.json;
  assert.deepEqual([first.status, rest], [202, { held: true, code: 'held', txn_id: body.txn_id, replayed: false }], first.text);
  assert.match(text, /waits for a moderator/);
  const repeat = await sent(guest, body);
  assert.deepEqual([repeat.status, repeat.json.replayed, repeat.headers['idempotency-replayed']], [202, true, 'true']);
  assert.deepEqual(outcome(await sent(guest, { ...body, d: { content: 'other' } })), [409, 'txn_id_reused']);
  assert.equal(await stored(id), 0);

  assert.deepEqual(outcome(await queue(guest, id)), [403, 'role_required']);
  const second = message(id, 'maybe not');
  assert.equal((await sent(guest, second)).status, 202);
  const { held } = (await queue(moderator, id)).json;
  assert.deepEqual(held.map(({ txn_id, sender_id, t, d, held_by, detail }) => [txn_id, sender_id, t, d.content, held_by, detail]), [
    [body.txn_id, guest.id, 'chat', 'maybe', 'term', 'maybe'],
    [second.txn_id, guest.id, 'chat', 'maybe not', 'term', 'maybe'],
  ]);
  assert.deepEqual((await queue(moderator, id, `?limit=1&after=${held[0].held_id}`)).json.held.map((h) => h.held_id), [held[1].held_id]);

  assert.deepEqual(outcome(await call(guest, 'approve_message', { held_id: held[0].held_id })), [403, 'role_required']);
  const approved = await call(moderator, 'approve_message', { held_id: held[0].held_id });
  assert.equal(approved.status, 200, approved.text);
  assert.equal((await call(moderator, 'deny_message', { held_id: held[1].held_id, reason: 'off topic' })).text, 'true');
  const after = await sent(guest, body);
  assert.deepEqual([after.status, after.text, after.headers['idempotency-replayed']], [200, approved.text, 'true']);
  const denied = await sent(guest, second);
  assert.deepEqual([...outcome(denied), denied.json.details], [403, 'held_denied', 'off topic']);
  await until('the message has its offset', async () => (await stack.query('select 1 from sealcast.history($1)', [id])).length === 1);
  assert.deepEqual((await queue(moderator, id)).json.held, []);
});

test('a message that many moderators approve and its sender repeats at the same time is sealed once', async () => {
  const { id, owner, moderator, guest } = await room();
  for (let round = 0; round < 5; round++) {
    const body = message(id, `maybe ${round}`);
    assert.equal((await patient(() => send(url, guest, body))).status, 202);
    const held_id = await heldId(moderator, id);
    const repeats = async () => {
      let answer;
      do answer = await patient(() => send(url, guest, body));
      while (answer.status !== 200);
      return answer;
    };
    const [one, two, repeat] = await Promise.all([
      call(owner, 'approve_message', { held_id }), call(moderator, 'approve_message', { held_id }), repeats(),
    ]);
    assert.deepEqual([one.status, two.status], [200, 200], one.text + two.text);
    assert.deepEqual([one.text, repeat.text], [two.text, one.text]);
    assert.equal(await stored(id), round + 1);
  }
});

test('of an approval and a denial at the same time, one decides', async () => {
  const { id, owner, moderator, guest } = await room();
  for (let round = 0; round < 5; round++) {
    const body = message(id, `maybe ${round}`);
    const count = await stored(id);
    await patient(() => send(url, guest, body));
    const held_id = await heldId(moderator, id);
    const answers = await Promise.all([call(owner, 'approve_message', { held_id }), call(moderator, 'deny_message', { held_id })]);
    const states = answers.map(({ status }) => status);
    assert.deepEqual([...states].sort(), [200, 409]);
    assert.equal(await stored(id) - count, states[0] === 200 ? 1 : 0);
    const repeat = await patient(() => send(url, guest, body));
    assert.deepEqual(outcome(repeat), states[0] === 200 ? [200, undefined] : [403, 'held_denied']);
  }
});

test('two sends of the same message at the same time are held once', async () => {
  const { id, moderator, guest } = await room();
  const body = message(id, 'maybe');
  const answers = await Promise.all(Array.from({ length: 4 }, () => patient(() => send(url, guest, body))));
  for (const answer of answers) assert.ok([202, 503].includes(answer.status), answer.text);
  assert.equal((await queue(moderator, id)).json.held.length, 1);
});

test('a held message survives a killed sidecar, and its approval reaches the readers', async () => {
  const { id, moderator, guest } = await room();
  const body = message(id, 'maybe');
  assert.equal((await send(url, guest, body)).status, 202);
  sidecar.process.kill('SIGKILL');
  await sidecar.exited;
  sidecar = await stack.sidecar();
  url = sidecar.url;
  assert.equal((await send(url, guest, body)).status, 202);
  const approved = await call(moderator, 'approve_message', { held_id: await heldId(moderator, id) });
  assert.equal(approved.status, 200, approved.text);
  await until('the message is in the history', async () => (await request(`${url}/streams/${id}/messages`)).text.includes(approved.text));
});

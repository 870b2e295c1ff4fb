// Two cells: a sidecar that is asked for the other one's stream says where it is and spends nothing; a stream is moved.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Cells } from './cells.mjs';
import { message, request, send, Subscriber } from './http.mjs';
import { admit } from './sql_database.mjs';
import { until } from './waiting.mjs';

let cells, a, b;
before(async () => {
  cells = await Cells.create();
  ({ a, b } = cells);
});
after(() => cells?.close());

function isElsewhere(answer, url, path) {
  assert.equal(answer.status, 421, answer.text);
  const { code, message: text, details, hint } = answer.json;
  assert.deepEqual([code, details], ['wrong_cell', url]);
  assert.ok(text && hint);
  assert.equal(answer.headers.location, url + path);
}

test('each route of a stream of another cell is 421, and says where', async () => {
  const room = await cells.stream(b);
  const { headers } = cells.stack.user();
  const routes = [
    ['GET', `/streams/${room}/events?last_event_id=0`],
    ['GET', `/streams/${room}/messages?after=0&limit=2`],
    ['POST', `/streams/${room}/token`],
    ['POST', `/streams/${room}/heartbeat`],
  ];
  for (const [method, path] of routes) {
    for (const who of [headers, {}]) {
      isElsewhere(await request(a.url + path, { method, headers: who }), b.url, path);
    }
  }
  const shouted = `/streams/${room.toUpperCase()}/messages`;
  isElsewhere(await request(a.url + shouted), b.url, shouted);
  assert.equal((await request(`${b.url}/streams/${room}/messages`)).status, 200);
  assert.equal((await request(`${a.url}/streams/${await cells.stream(a)}/messages`)).status, 200);
  assert.equal((await request(`${a.url}/streams/nobody/messages`)).json.code, 'invalid_request');
});

test('a message: neither the rate nor the txn_id is spent', async () => {
  const [room, user] = [await cells.stream(b), cells.stack.user()];
  const hello = message(room);
  for (let i = 0; i < 10; i++) isElsewhere(await send(a.url, user, hello), b.url, '/rpc/send_message');
  assert.equal(await cells.stack.redis('--scan', '--pattern', `*${user.id}*`), '', 'the gate was not asked');
  assert.equal((await send(a.url, { headers: {} }, hello)).status, 401, 'a session is asked for all the same');
  const answer = await send(b.url, user, hello);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['idempotency-replayed'], undefined);
  assert.deepEqual(await b.stored(room), [hello.txn_id]);
});

test('a pin that the sidecar has not read yet: Postgres answers the same', async () => {
  const [room, user] = [await cells.stream(a), cells.stack.user()];
  await a.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  isElsewhere(await send(a.url, user, message(room)), b.url, '/rpc/send_message');
  const call = await request(`${a.url}/rpc/mute`, {
    method: 'POST',
    headers: user.headers,
    body: { stream_id: room, user_id: user.id },
  });
  assert.deepEqual([call.status, call.json.code, call.json.details], [421, 'wrong_cell', b.url]);
});

test('a pin under a lock is a fence: who came before is waited for, who comes after sees it', async () => {
  const room = await cells.stream(a);
  const [early, late, operator] = await Promise.all([1, 2, 3].map(() => cells.stack.connect({ database: a.database })));
  const one = (txn_id) => [{ stream: room, sender: cells.stack.user().id, txn: txn_id }];
  const [first, second] = [randomUUID(), randomUUID()];
  await early.query('begin');
  assert.equal((await admit(early, one(first)))[0].status, 200);
  await operator.query('begin');
  const locked = operator.query('lock table sealcast.cell_pins in access exclusive mode');
  const waiting = async (client) => {
    const [row] = await a.query('select wait_event_type from pg_stat_activity where pid = $1', [client.processID]);
    return row.wait_event_type === 'Lock';
  };
  await until('the operator waits for the early one', () => waiting(operator));
  const verdict = admit(late, one(second));
  await until('the late one waits for the operator', () => waiting(late));
  await early.query('commit');
  await locked;
  await operator.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  await operator.query('commit');
  assert.equal((await verdict)[0].code, 'wrong_cell');
  assert.deepEqual(await a.stored(room), [first]);
  await Promise.all([early, late, operator].map((client) => client.end()));
});

test('a stream is moved: all of it, with its offsets, keys, roles and readers', async () => {
  const [room, user] = [await cells.stream(a), cells.stack.user()];
  await a.query("insert into sealcast.stream_roles values ($1, $2, 'vip')", [room, user.id]);
  await a.query("insert into sealcast.switching (stream_id, step, since, forced) values ($1, 'warming', now(), 'standard')", [room]);
  const sent = [message(room, 'one'), message(room, 'two'), message(room, 'three')];
  const envelopes = [];
  for (const body of sent) envelopes.push((await send(a.url, user, body)).text);
  const reader = await Subscriber.to(a.url, room, { lastEventId: 0 });
  await reader.received(3);

  await cells.move(room, a, b);
  await until('the reader is sent away', () => !reader.open);
  isElsewhere(await request(`${a.url}/streams/${room}/events`), b.url, `/streams/${room}/events`);
  isElsewhere(await send(a.url, user, sent[0]), b.url, '/rpc/send_message');

  await until('the other cell has read the pin', async () => (await request(`${b.url}/streams/${room}/messages`)).status === 200);
  const resumed = await Subscriber.to(b.url, room, { lastEventId: reader.lastEventId });
  const repeat = await send(b.url, user, sent[1]);
  assert.deepEqual([repeat.status, repeat.headers['idempotency-replayed'], repeat.text], [200, 'true', envelopes[1]]);
  const next = await send(b.url, user, message(room, 'four'));
  assert.equal(next.json.d.user_role, 'vip');
  await resumed.received(1);
  assert.deepEqual([resumed.frames[0].offset, resumed.frames[0].prev, resumed.resets], [4, 3, []]);
  assert.deepEqual(await b.query('select step, forced from sealcast.switching where stream_id = $1', [room]), [
    { step: 'standard', forced: 'standard' },
  ]);
  const { messages, first, last } = (await request(`${b.url}/streams/${room}/messages`)).json;
  assert.deepEqual(messages.map(({ envelope }) => JSON.stringify(envelope)), [...envelopes, next.text]);
  assert.deepEqual([first, last], [1, 4]);
  resumed.close();

  // And back, once nothing is left there; where the stream is, nothing is forgotten.
  await assert.rejects(cells.move(room, b, a), /something left of the stream/);
  for (const cell of cells.all) await cells.forget(room, cell);
  assert.deepEqual(await a.stored(room), []);
  await cells.move(room, b, a);
  await until('it is back', async () => (await request(`${a.url}/streams/${room}/messages`)).status === 200);
  const again = (await request(`${a.url}/streams/${room}/messages`)).json.messages;
  assert.deepEqual(again.map(({ offset }) => offset), [1, 2, 3, 4]);
  assert.equal((await send(a.url, user, sent[0])).text, envelopes[0]);
});

test('a cell of its own again: the sidecar serves all it has', async () => {
  const room = await cells.stream(a);
  await a.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  const status = async () => (await request(`${a.url}/streams/${room}/messages`)).status;
  await until('it is elsewhere', async () => (await status()) === 421);
  await a.query('delete from sealcast.cell_pins where stream_id = $1', [room]);
  await until('it is back', async () => (await status()) === 200);
});

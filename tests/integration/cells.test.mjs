// Two cells: a sidecar answers a request for a stream of the other cell with its address, without using up the rate or the
// txn_id. A stream is moved between the cells.
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

function assertWrongCell(answer, url, path) {
  assert.equal(answer.status, 421, answer.text);
  const { code, message: text, details, hint } = answer.json;
  assert.deepEqual([code, details], ['wrong_cell', url]);
  assert.ok(text && hint);
  assert.equal(answer.headers.location, url + path);
}

test('each route answers 421 with the address for a stream of another cell', async () => {
  const room = await cells.stream(b);
  const { headers } = cells.stack.user();
  const routes = [
    ['GET', `/streams/${room}/events?last_event_id=0`],
    ['GET', `/streams/${room}/messages?after=0&limit=2`],
    ['GET', `/streams/${room}/reports?limit=2`],
    ['GET', `/streams/${room}/moderation_log`],
    ['POST', `/streams/${room}/token`],
    ['POST', `/streams/${room}/heartbeat`],
  ];
  for (const [method, path] of routes) {
    for (const session of [headers, {}]) {
      assertWrongCell(await request(a.url + path, { method, headers: session }), b.url, path);
    }
  }
  const inUpperCase = `/streams/${room.toUpperCase()}/messages`;
  assertWrongCell(await request(a.url + inUpperCase), b.url, inUpperCase);
  assert.equal((await request(`${b.url}/streams/${room}/messages`)).status, 200);
  assert.equal((await request(`${a.url}/streams/${await cells.stream(a)}/messages`)).status, 200);
  assert.equal((await request(`${a.url}/streams/nobody/messages`)).json.code, 'invalid_request');
});

test('a message for another cell uses up neither the rate nor the txn_id', async () => {
  const [room, user] = [await cells.stream(b), cells.stack.user()];
  const hello = message(room);
  for (let i = 0; i < 10; i++) assertWrongCell(await send(a.url, user, hello), b.url, '/rpc/send_message');
  assert.equal(await cells.stack.redis('--scan', '--pattern', `*${user.id}*`), '', 'the gate was not asked');
  assert.equal((await send(a.url, { headers: {} }, hello)).status, 401, 'a session is needed all the same');
  const answer = await send(b.url, user, hello);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['idempotency-replayed'], undefined);
  assert.deepEqual(await b.stored(room), [hello.txn_id]);
});

test('Postgres answers 421 for a pin that the sidecar has not read yet', async () => {
  const [room, user] = [await cells.stream(a), cells.stack.user()];
  await a.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  assertWrongCell(await send(a.url, user, message(room)), b.url, '/rpc/send_message');
  const call = await request(`${a.url}/rpc/mute`, {
    method: 'POST',
    headers: user.headers,
    body: { stream_id: room, user_id: user.id },
  });
  assert.deepEqual([call.status, call.json.code, call.json.details], [421, 'wrong_cell', b.url]);
});

test('a pin made under a lock waits for earlier transactions, and later ones see it', async () => {
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
  await until('the operator waits for the early transaction', () => waiting(operator));
  const verdict = admit(late, one(second));
  await until('the late transaction waits for the operator', () => waiting(late));
  await early.query('commit');
  await locked;
  await operator.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  await operator.query('commit');
  assert.equal((await verdict)[0].code, 'wrong_cell');
  assert.deepEqual(await a.stored(room), [first]);
  await Promise.all([early, late, operator].map((client) => client.end()));
});

test('a moved stream keeps its messages, offsets, keys, roles and readers', async () => {
  const [room, user] = [await cells.stream(a), cells.stack.user()];
  await a.query("insert into sealcast.stream_roles values ($1, $2, 'vip')", [room, user.id]);
  await a.query("insert into sealcast.switching (stream_id, step, since, forced) values ($1, 'warming', now(), 'standard')", [room]);
  await a.query("insert into sealcast.sampling values ($1, 30, true, now())", [room]);
  const sent = [message(room, 'one'), message(room, 'two'), message(room, 'three')];
  const envelopes = [];
  for (const body of sent) envelopes.push((await send(a.url, user, body)).text);
  const reader = await Subscriber.to(a.url, room, { lastEventId: 0 });
  await reader.received(3);
  const claims = JSON.stringify({ sub: cells.stack.user().id });
  await a.query("select set_config('request.jwt.claims', $2, true), sealcast.report_message($1, 1)", [room, claims]);
  await a.query('select sealcast.mute($1, gen_random_uuid())', [room]);
  const acts = async (cell) =>
    (await cell.query('select act from sealcast.moderation_log where stream_id = $1 order by entry_id', [room])).map(({ act }) => act);

  await cells.move(room, a, b);
  await until('the old cell closes the reader\'s connection', () => !reader.open);
  assertWrongCell(await request(`${a.url}/streams/${room}/events`), b.url, `/streams/${room}/events`);
  assertWrongCell(await send(a.url, user, sent[0]), b.url, '/rpc/send_message');

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
  assert.deepEqual(await b.query('select rate, forced from sealcast.sampling where stream_id = $1', [room]), [{ rate: 30, forced: true }]);
  assert.deepEqual(await acts(b), ['mute']);
  const reports = 'select envelope, reporters from sealcast.report_cases join sealcast.reports using (stream_id, "offset") where stream_id = $1';
  assert.deepEqual(await b.query(reports, [room]), [{ envelope: envelopes[0], reporters: 1 }]);
  const { messages, first, last } = (await request(`${b.url}/streams/${room}/messages`)).json;
  assert.deepEqual(messages.map(({ envelope }) => JSON.stringify(envelope)), [...envelopes, next.text]);
  assert.deepEqual([first, last], [1, 4]);
  resumed.close();

  // It can move back when the old cell has forgotten it. The cell that has the stream forgets nothing.
  await assert.rejects(cells.move(room, b, a), /still has data of the stream/);
  for (const cell of cells.all) await cells.forget(room, cell);
  assert.deepEqual(await a.stored(room), []);
  assert.deepEqual(await a.query(reports, [room]), []);
  await cells.move(room, b, a);
  assert.deepEqual(await acts(a), ['mute', 'delete_stream'], 'the log has each entry once');
  await until('the stream is back', async () => (await request(`${a.url}/streams/${room}/messages`)).status === 200);
  const again = (await request(`${a.url}/streams/${room}/messages`)).json.messages;
  assert.deepEqual(again.map(({ offset }) => offset), [1, 2, 3, 4]);
  assert.equal((await send(a.url, user, sent[0])).text, envelopes[0]);
});

test('what late joiners of a moved stream are told first comes to its end in the new cell', async () => {
  const room = await cells.stream(a);
  // The old cell has no rows any more for what it told.
  for (const [t, d] of [['sampling_update', '{"active":true,"rate":20}'], ['viewer_count_update', '{"hls":7,"total":7,"webrtc":null}']]) {
    await a.query(
      `select from sealcast.admit(array[$1]::uuid[], array[$2], array['00000000-0000-0000-0000-000000000000']::uuid[], array[gen_random_uuid()], array[$3])`,
      [room, t, d]);
  }
  const told = async (cell) => (await request(`${cell.url}/streams/${room}/state`)).json?.messages?.map(({ envelope: { d } }) => d.rate ?? d.total);
  await until('the old cell tells it', async () => (await told(a))?.join() === '20,7');
  await cells.move(room, a, b);
  await until('the new cell tells the end', async () => (await told(b))?.sort().join() === '0,100', 40_000);
});

test('only the cell that has a stream can give it away', async () => {
  const [room, user] = [await cells.stream(a), cells.stack.user()];
  await send(a.url, user, message(room, 'one'));
  await cells.move(room, a, b);

  // The old cell still has a copy.
  const c = await cells.withoutSidecar('c');
  await assert.rejects(cells.move(room, a, c), /says that cell b has the stream: move it from there/);
  assert.deepEqual(await c.query('select from sealcast.streams'), []);

  // The new cell has given the stream to a third one. A repeat of the first move must not bring the old copy back.
  await b.query("insert into sealcast.cells values ('c', 'http://127.0.0.1:1')");
  await b.query("update sealcast.cell_pins set cell = 'c' where stream_id = $1", [room]);
  await cells.forget(room, b);
  await assert.rejects(cells.move(room, a, b), /says that cell c has the stream/);
  assert.deepEqual(await b.query('select from sealcast.streams where stream_id = $1', [room]), []);
  await c.close();
});

test('after the pin is deleted the sidecar serves the stream again', async () => {
  const room = await cells.stream(a);
  await a.query("insert into sealcast.cell_pins values ($1, 'b')", [room]);
  const status = async () => (await request(`${a.url}/streams/${room}/messages`)).status;
  await until('the stream is in the other cell', async () => (await status()) === 421);
  await a.query('delete from sealcast.cell_pins where stream_id = $1', [room]);
  await until('the stream is back', async () => (await status()) === 200);
});

// Statements that wait: a call of moderation behind somebody's transaction, reads behind a lock, and readers who have gone. No class of
// work waits for another, no connection is lost, and nothing is read for nobody.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const LOST = /lost the connection/;
let stack, sidecar, holder;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  holder = await stack.connect();
});
afterEach(() => holder.query('rollback'));
after(async () => {
  await holder?.end();
  await sidecar?.stop();
  await stack?.close();
});

const history = (room, url = sidecar.url) => request(`${url}/streams/${room}/messages`);
const call = (user, name, body) => request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: user.headers, body });

async function roomOf(owner) {
  const room = await stack.stream();
  await stack.grant(room, owner, 'owner');
  return room;
}

test('calls that wait for an open transaction hold up no reader of another stream, and end with 503', async () => {
  const [owner, guest, other] = [stack.user(), stack.user(), stack.user()];
  const [room, elsewhere] = [await roomOf(owner), await roomOf(other)];
  await holder.query('begin');
  await holder.query('select from sealcast.streams where stream_id = $1 for update', [room]);
  let answered = 0;
  const mutes = Array.from({ length: 4 }, () => call(owner, 'mute', { stream_id: room, user_id: guest.id }).finally(() => ++answered));
  await until('the calls wait', async () => (await stack.query("select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'"))[0].n > 0);
  const reader = await Subscriber.to(sidecar.url, elsewhere);
  assert.equal((await send(sidecar.url, other, message(elsewhere))).status, 200);
  await reader.received(1);
  reader.close();
  assert.equal((await history(elsewhere)).status, 200);
  assert.equal(answered, 0, 'the calls still wait');
  for (const answer of await Promise.all(mutes)) {
    assert.deepEqual([answer.status, answer.json.code], [503, 'database_unavailable'], answer.text);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
  }
  await holder.query('rollback');
  assert.equal((await call(other, 'mute', { stream_id: elsewhere, user_id: guest.id })).status, 204);
  assert.doesNotMatch(sidecar.log.join('\n'), LOST);
});

test('a read that takes too long is cancelled, and its connection stays', async () => {
  const room = await stack.stream();
  const hasty = await stack.sidecar({ SEALCAST_POSTGRES_TIMEOUT_MS: '300', SEALCAST_GATE_SOCKET: '' });
  try {
    await holder.query('begin');
    await holder.query('lock table sealcast.stream_runs');
    const answers = await Promise.all(Array.from({ length: 3 }, () => history(room, hasty.url)));
    assert.deepEqual(answers.map(({ status, json }) => [status, json.code]), Array(3).fill([503, 'database_unavailable']));
    await holder.query('rollback');
    assert.equal((await history(room, hasty.url)).status, 200);
    assert.doesNotMatch(hasty.log.join('\n'), LOST);
  } finally {
    await hasty.stop();
  }
});

test('history is not read for clients that have gone', async () => {
  const room = await stack.stream();
  // Counts the pages that are read.
  await stack.query('create sequence public.reads');
  await stack.query(`create or replace function sealcast_internal.read_history(stream_id uuid, after bigint, before bigint, max_rows integer,
      only_public boolean, out "offset" bigint, out prev bigint, out envelope text, out public_prev bigint, out redacted text) returns setof record
    language plpgsql security definer as $$ begin perform nextval('public.reads'); end $$`);
  await holder.query('begin');
  await holder.query('lock table sealcast.stream_runs');
  const sockets = Array.from({ length: 200 }, () => http.get(`${sidecar.url}/streams/${room}/messages`, { agent: false }).on('error', () => {}));
  await until('the requests have arrived', async () => Number((await request(`${sidecar.url}/metrics`)).text.match(/^sealcast_http_connections (.*)$/m)[1]) > 200);
  for (const outgoing of sockets) outgoing.destroy();
  const patient = history(room);
  await holder.query('rollback');
  assert.equal((await patient).status, 200);
  const [{ n }] = await stack.query('select last_value::int as n from public.reads');
  assert.ok(n < 60, `${n} pages were read for 201 requests, of which 200 had gone`);
});

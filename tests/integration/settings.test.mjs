// The sidecar and a worker with a database and a role whose settings break statements: they set their own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

const hostile = {
  standard_conforming_strings: 'off', bytea_output: 'escape', DateStyle: "'SQL, DMY'", IntervalStyle: 'sql_standard', TimeZone: "'Pacific/Kiritimati'",
  client_encoding: 'LATIN1', search_path: 'hostile, pg_catalog', row_security: 'off', default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on', default_transaction_deferrable: 'on', statement_timeout: '400', lock_timeout: '1',
  idle_session_timeout: '100', idle_in_transaction_session_timeout: '100', quote_all_identifiers: 'on', array_nulls: 'off',
  extra_float_digits: '-15', transform_null_equals: 'on', enable_indexscan: 'off', work_mem: "'64kB'",
};

let plane;
let stack;
before(async () => {
  plane = await EventPlane.create();
  stack = plane.stack;
  await plane.sidecar.stop();
  await stack.query('create schema hostile');
  await stack.query('grant usage on schema hostile to public');
  await stack.query("create function hostile.now() returns timestamptz language sql as 'select null::timestamptz'");
  await stack.query("create function hostile.no(bigint, bigint) returns boolean language sql as 'select false'");
  await stack.query('create operator hostile.= (leftarg = bigint, rightarg = bigint, function = hostile.no)');
  // The settings of a role apply to its sessions in every database; those of the superuser of this test stay as they are.
  for (const [name, value] of Object.entries(hostile)) await stack.query(`alter role sealcast_service set ${name} = ${value}`);
  plane.sidecar = await stack.sidecar(plane.settings);
});
after(() => plane?.close());

test('sending, reading, moderating and events work', async () => {
  const { sidecar } = plane;
  const room = await stack.stream();
  const [owner, user] = [stack.user(), stack.user()];
  await stack.grant(room, owner, 'owner');
  const reader = await Subscriber.to(sidecar.url, room, { lastEventId: 0 });
  const said = await send(sidecar.url, user, message(room, 'Grüße 日本語 \\ \' 😀'));
  assert.equal(said.status, 200, said.text);
  assert.equal(said.json.d.content, 'Grüße 日本語 \\ \' 😀');
  const body = message(room, 'again');
  const first = await send(sidecar.url, user, body);
  assert.deepEqual((await send(sidecar.url, user, body)).json, first.json);
  await reader.received(2);
  reader.close();
  const history = await request(`${sidecar.url}/streams/${room}/messages`);
  assert.equal(history.json.messages.length, 2);
  assert.equal(history.json.messages[0].envelope.d.content, said.json.d.content);
  assert.deepEqual((await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: said.text })).json, { result: 'ok' });

  const muting = await request(`${sidecar.url}/rpc/mute`, {
    method: 'POST', headers: { authorization: `Bearer ${owner.token()}` },
    body: { stream_id: room, user_id: user.id, until: new Date(Date.now() + 60_000).toISOString(), reason: 'Grüße \\' },
  });
  assert.equal(muting.status, 204, muting.text);
  assert.equal((await send(sidecar.url, user, message(room))).json.code, 'user_muted');

  await plane.worker();
  await plane.untilApplied();
  await until('the idle timeout has passed for idle connections', async () =>
    (await stack.query("select 1 from pg_stat_activity where usename = 'sealcast_service' and state = 'idle' and state_change < now() - interval '300 ms'")).length > 0);
  assert.equal((await send(sidecar.url, owner, message(room))).status, 200);
  const isolation = await stack.query("select 1 from pg_locks where mode = 'SIReadLock'");
  assert.deepEqual(isolation, [], 'no transaction of the sidecar is serializable');
});

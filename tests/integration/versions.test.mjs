// A sidecar with an extension that it cannot use, because of its interface version or of a missing right: it refuses messages, reports
// what to do, and recovers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar, own;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  [{ own }] = await stack.query('select sealcast.interface_version() as own');
});
after(async () => {
  await sidecar.stop();
  await stack.close();
});

const readiness = async () => (await request(`${sidecar.url}/readyz`)).json;

// The log also has lines of libpq, which are not JSON.
const logged = () => sidecar.log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

// Makes the extension report this version. The sidecar reads it when it connects.
async function setInterfaceVersion(number) {
  await stack.query(`create or replace function sealcast.interface_version() returns integer language sql return ${number}`);
  await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
}

for (const [difference, advice] of [[-1, /ALTER EXTENSION sealcast UPDATE/], [1, /run the sealcastd of the extension's version/]]) {
  test(`with ${difference > 0 ? 'a newer' : 'an older'} extension messages get 503, and /readyz says what to do`, async () => {
    const room = await stack.stream();
    await setInterfaceVersion(own + difference);
    const { ready, checks } = await until('/readyz reports the version', async () => {
      const answer = await readiness();
      return advice.test(answer.checks.postgres) && answer;
    });
    assert.equal(ready, false);
    assert.match(checks.postgres, new RegExp(`has interface version ${own + difference}, and sealcastd [0-9.]+ needs ${own}: `));
    await until('the relay is not ready either', async () => (await readiness()).checks.relay !== 'ok');
    await until('the log reports the version', () => logged().some(({ tag, level, connection, reason }) =>
      tag === '[DATABASE]' && level === 'error' && connection === 'relay' && advice.test(reason)));
    const refusal = (await send(sidecar.url, stack.user(), message(room))).json;
    assert.equal(refusal.code, 'database_unavailable');
    assert.match(refusal.message, /extension .* does not work with this sidecar/);
    assert.deepEqual(await stack.stored(room), []);

    await stack.query(`create or replace function sealcast.interface_version() returns integer language sql return ${own}`);
    await until('the sidecar is ready without a restart', async () => (await readiness()).ready);
    const sent = message(room);
    assert.equal((await send(sidecar.url, stack.user(), sent)).status, 200);
    assert.deepEqual(await stack.stored(room), [sent.txn_id]);
  });
}

test('without a right on the extension, /readyz names the role and the grant that it needs', async () => {
  await stack.query('revoke usage on schema sealcast from sealcast_service');
  await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
  await until('/readyz names the grant', async () =>
    /the role sealcast_service may not use the extension .*: run GRANT sealcast_service TO sealcast_service/.test((await readiness()).checks.postgres));
  await stack.query('grant usage on schema sealcast to sealcast_service');
  await until('the sidecar is ready without a restart', async () => (await readiness()).ready);
});

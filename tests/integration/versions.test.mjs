// A sidecar beside an extension of another interface: it keeps off, says what to do, and works when that was done.
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

// libpq writes to the same place.
const logged = () => sidecar.log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

// The function as an extension of another version would have it. A sidecar looks when it connects.
async function answer(number) {
  await stack.query(`create or replace function sealcast.interface_version() returns integer language sql return ${number}`);
  await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealcast_service'");
}

for (const [difference, advice] of [[-1, /ALTER EXTENSION sealcast UPDATE/], [1, /run the sealcastd of the extension's version/]]) {
  test(`the extension's interface is ${difference > 0 ? 'newer' : 'older'}: 503, with what to do`, async () => {
    const room = await stack.stream();
    await answer(own + difference);
    const { ready, checks } = await until('/readyz says so', async () => {
      const says = await readiness();
      return advice.test(says.checks.postgres) && says;
    });
    assert.equal(ready, false);
    assert.match(checks.postgres, new RegExp(`has interface ${own + difference}, sealcastd [0-9.]+ needs ${own}: `));
    await until('the relay keeps off too', async () => (await readiness()).checks.relay !== 'ok');
    await until('and says so in the log', () => logged().some(({ tag, level, connection, reason }) =>
      tag === '[DATABASE]' && level === 'error' && connection === 'relay' && advice.test(reason)));
    assert.equal((await send(sidecar.url, stack.user(), message(room))).json.code, 'database_unavailable');
    assert.deepEqual(await stack.stored(room), []);

    await stack.query(`create or replace function sealcast.interface_version() returns integer language sql return ${own}`);
    await until('it works without a restart', async () => (await readiness()).ready);
    const sent = message(room);
    assert.equal((await send(sidecar.url, stack.user(), sent)).status, 200);
    assert.deepEqual(await stack.stored(room), [sent.txn_id]);
  });
}

// The sidecar does maintenance to its end, one call after the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack;

before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack?.close());

test('a sidecar calls maintain() again while it is unfinished', async () => {
  await stack.query(`insert into sealcast.txn_keys
    select gen_random_uuid(), gen_random_uuid(), extract(epoch from now() - interval '8 days')::bigint * 1000, n, '' from generate_series(1, 250000) n`);
  await stack.query("update sealcast_internal.trim_passes set began_at = began_at - interval '1 day'");
  await stack.query("update sealcast.retention set days_ahead = 30");
  const [{ pages }] = await stack.query("select ceil(pg_relation_size('sealcast.txn_keys') / 8192.0 / 1000)::int as pages");
  assert(pages > 2);
  const [{ began }] = await stack.query('select clock_timestamp() as began');
  const sidecar = await stack.sidecar();
  await until('maintenance has ended', async () =>
    (await stack.query('select from sealcast_internal.maintenance where finished_at > $1', [began])).length === 1);
  assert.deepEqual(await stack.query('select from sealcast.txn_keys limit 1'), []);
  assert.equal((await stack.query("select from sealcast_internal.partitions('sealcast.messages') where day >= current_date")).length, 31);
  await until('each step is logged', () =>
    sidecar.log.filter((line) => /\[DATABASE\].*trimmed.*sealcast\.txn_keys/.test(line)).length === pages);
  assert(!sidecar.log.some((line) => line.includes('unfinished')));
});

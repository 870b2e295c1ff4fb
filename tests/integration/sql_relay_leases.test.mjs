// Leases of shards with several connections, which pgTAP does not have.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Database } from './sql_database.mjs';

const database = await Database.create();
after(() => database.drop());

test('a sidecar that claims on a new connection does not own a shard whose lease it cannot lock', async () => {
  const [before, now, locker] = [await database.connect(), await database.connect(), await database.connect()];
  const mine = async (client) => {
    const { rows } = await client.query("select shard, mine from sealcast_internal.claim_shards('a', 60000) order by shard");
    return rows.map((row) => row.mine);
  };
  assert.deepEqual(await mine(before), [true, true, true, true]);
  await locker.query('begin; select from sealcast_internal.relay_leases where shard = 2 for update');
  assert.deepEqual(await mine(now), [true, true, false, true]);
  await locker.query('rollback');
  assert.deepEqual(await mine(now), [true, true, true, true]);
});

// How often Postgres reads the keyring because of a key id that it does not know.
import assert from 'node:assert/strict';
import { chownSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Database } from './sql_database.mjs';
import { until } from './waiting.mjs';

const keyring = join(process.env.SEALCAST_LOCAL, 'keyring');
const database = await Database.create();
const made = [];
after(async () => {
  for (const file of made) rmSync(file);
  await database.drop();
});

function add(kid) {
  const { uid, gid } = statSync(join(keyring, 'k1'));
  const file = join(keyring, kid);
  writeFileSync(file, `sealcast-test-key-${kid}-0123456789abcdef\n`, { mode: 0o600 });
  chownSync(file, uid, gid);
  made.push(file);
}

test('an unknown key id makes Postgres read the keyring again, but at most once a second', async () => {
  const client = await database.connect();
  const knows = async (kid) => {
    try {
      await client.query("select sealcast.sign('', $1)", [kid]);
      return true;
    } catch (error) {
      assert.equal(error.code, '42704');
      return false;
    }
  };
  for (let trial = 1; ; trial++) {
    assert(trial <= 20, 'no trial took less than a second');
    const kid = `late${trial}`;
    await pause(1100); // so that the next question reads the keyring
    const began = Date.now();
    assert.equal(await knows(kid), false);
    add(kid);
    const known = await knows(kid);
    const tooSlow = Date.now() - began >= 1000;
    if (!tooSlow) assert.equal(known, false, 'the keyring was read twice within a second');
    await until('the new key is found without a reload', () => knows(kid));
    if (!tooSlow) return;
  }
});

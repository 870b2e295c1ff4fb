// The examples that verify an envelope without Sealcast agree with sealcast.verify_detail(), by the same vectors.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Database } from './sql_database.mjs';

const { envelopes, payload_rules: payloadRules, redacted } = JSON.parse(readFileSync('tests/vectors/envelopes.json', 'utf8'));
const keyring = join(process.env.SEALCAST_LOCAL, 'keyring');
const database = await Database.create();
after(async () => {
  rmSync(join(keyring, 'example'), { force: true });
  await database.drop();
});

for (const [program, file] of [['node', 'verify.mjs'], ['python3', 'verify.py']]) {
  test(`${file} gives the verdict of each vector`, () => {
    for (const { name, verdict, envelope } of [...envelopes, ...payloadRules, ...redacted]) {
      const { stdout } = spawnSync(program, [`docs/examples/${file}`, 'docs/examples/keyring'], { input: envelope });
      assert.equal(stdout.toString().trim(), verdict, name);
    }
  });
}

test('verify_detail() gives the verdict of each vector', async () => {
  writeFileSync(join(keyring, 'example'), readFileSync('docs/examples/keyring/example'), { mode: 0o600 });
  const { uid, gid } = statSync(join(keyring, 'k1'));
  chownSync(join(keyring, 'example'), uid, gid);
  const client = await database.connect();
  await client.query('select pg_reload_conf()');
  const detail = async (envelope) => {
    try {
      return (await client.query('select sealcast.verify_detail($1::json) as verdict', [envelope])).rows[0].verdict;
    } catch (error) {
      assert.equal(error.code, '22P02'); // text that is no JSON does not reach the function
      return 'malformed';
    }
  };
  while ((await detail(envelopes[0].envelope)) === 'unknown_kid'); // until this backend has reloaded
  for (const { name, verdict, envelope } of [...envelopes, ...payloadRules, ...redacted]) assert.equal(await detail(envelope), verdict, name);
});

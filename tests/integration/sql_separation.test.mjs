// The commands of docs/security.md keep the service of one database out of the other databases of a cluster.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { Database, admit, makeStreams } from './sql_database.mjs';

const roles = ['app1', 'app2'].map((name) => `${name}_${randomUUID().slice(0, 8)}`);
let databases;
let client;

const connect = async (user, database) => {
  const connection = new pg.Client({ user, database: database.name });
  connection.on('error', () => {});
  await connection.connect();
  return connection;
};

before(async () => {
  databases = [await Database.create(), await Database.create()];
  client = await databases[0].connect();
});
after(async () => {
  await Promise.all(databases.map((database) => database.drop()));
  const own = new pg.Client();
  await own.connect();
  await own.query(`drop role if exists ${roles.join(', ')}`);
  await own.end();
});

test('a login of one database admits there, and cannot connect to the other one', async () => {
  const [one, two] = databases.map((database) => database.name);
  for (const role of roles) await client.query(`create role ${role} login in role sealcast_service`);
  const outside = await connect(roles[0], databases[1]);
  const [stream] = await makeStreams(await databases[1].connect(), 1);
  assert.equal((await admit(outside, [{ stream, sender: randomUUID() }]))[0].status, 200, 'without the commands, the roles are not separate');
  await outside.end();

  await client.query(`revoke connect, temporary on database ${one}, ${two} from public`);
  await client.query(`grant connect on database ${one} to ${roles[0]}`);
  await client.query(`grant connect on database ${two} to ${roles[1]}`);
  for (const [i, role] of roles.entries()) {
    await assert.rejects(connect(role, databases[1 - i]), { code: '42501' });
    const own = await connect(role, databases[i]);
    const [room] = await makeStreams(await databases[i].connect(), 1);
    assert.equal((await admit(own, [{ stream: room, sender: randomUUID() }]))[0].status, 200);
    await own.end();
  }
  await assert.rejects(connect('sealcast_service', databases[0]), { code: /^(28000|42501)$/ });
});

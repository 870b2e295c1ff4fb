// Blocked terms across connections: each learns of a change before its next message, whatever made the change.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Database, makeStreams } from './sql_database.mjs';

let database, moderator, sender, streams;
before(async () => {
  database = await Database.create();
  moderator = await database.connect();
  sender = await database.connect();
  streams = await makeStreams(moderator, 3);
});
after(() => database?.drop());

// Sends a message. Resolves to the content that was sealed, or to the code of the refusal.
async function say(content, stream = streams[0], client = sender) {
  const { rows: [verdict] } = await client.query(
    `select code, envelope::json #>> '{d,content}' as content from sealcast.admit(array[$1::uuid], '{chat}', array[$2::uuid], array[$3::uuid], array[$4])`,
    [stream, randomUUID(), randomUUID(), JSON.stringify({ content })]);
  return verdict.code ?? verdict.content;
}

async function add(term, { stream = streams[0], kind = 'literal', action = 'refuse' } = {}) {
  const { rows: [{ id }] } = await moderator.query('select sealcast.add_blocked_term($1, $2, $3, null, $4) as id', [stream, term, kind, action]);
  return id;
}

test('a connection learns of an added, changed and removed term before its next message', async () => {
  assert.equal(await say('darn'), 'darn');
  const id = await add('darn');
  assert.equal(await say('darn'), 'content_refused');
  assert.equal(await add('darn', { action: 'mask' }), id);
  assert.equal(await say('darn'), '****');
  await moderator.query('select sealcast.remove_blocked_term($1)', [id]);
  assert.equal(await say('darn'), 'darn');
});

test('a transaction that has begun before the change follows it, at any isolation level', async () => {
  for (const level of ['read committed', 'repeatable read']) {
    await sender.query(`begin isolation level ${level}`);
    let first, second, id;
    try {
      first = await say('heck');
      id = await add('heck');
      second = await say('heck');
    } finally {
      await sender.query('rollback');
    }
    assert.deepEqual([first, second], ['heck', 'content_refused'], level);
    await moderator.query('select sealcast.remove_blocked_term($1)', [id]);
  }
});

test('a term that is not committed applies to its own transaction alone', async () => {
  await moderator.query('begin');
  await add('gosh');
  assert.equal(await say('gosh', streams[0], moderator), 'content_refused');
  assert.equal(await say('gosh'), 'gosh');
  await moderator.query('rollback');
  assert.equal(await say('gosh', streams[0], moderator), 'gosh');
});

// sql_publication.test.mjs has a real subscription.
test('rows count that are written without the triggers of the origin, and TRUNCATE', async () => {
  await moderator.query('set session_replication_role = replica');
  await moderator.query("insert into sealcast.blocked_terms (stream_id, term) values ($1, 'drat')", [streams[1]]);
  assert.equal(await say('drat', streams[1]), 'content_refused');
  await moderator.query('reset session_replication_role; truncate sealcast.blocked_terms');
  assert.equal(await say('drat', streams[1]), 'drat');
});

test('terms that cannot be compiled are ignored, and the others still apply', async () => {
  // As after a restore by a version of RE2 that refuses more.
  await moderator.query(`insert into sealcast.blocked_terms (stream_id, term, kind, whole_word) values ($1, 'a(b', 'pattern', false), ($1, 'blast', 'literal', true)`, [streams[2]]);
  assert.equal(await say('a(b', streams[2]), 'a(b');
  assert.equal(await say('blast', streams[2]), 'content_refused');
});

test('a batch over many streams applies to each item the terms of its stream', async () => {
  const many = await makeStreams(moderator, 60);
  for (const [i, stream] of many.entries()) await add(`word${i}`, { stream });
  const items = many.flatMap((stream, i) => [[stream, `word${i}`], [stream, `word${i + 1}`]]);
  const { rows } = await sender.query(
    `select code from sealcast.admit($1::uuid[], array_fill('chat'::text, array[120]), $2::uuid[], $3::uuid[], $4::text[])`,
    [items.map(([stream]) => stream), items.map(() => randomUUID()), items.map(() => randomUUID()), items.map(([, content]) => JSON.stringify({ content }))]);
  assert.deepEqual(rows.map((row) => row.code), items.map((_, i) => (i % 2 === 0 ? 'content_refused' : null)));
});

test('two additions of the same term at the same time are one term', async () => {
  const other = await database.connect();
  await moderator.query('begin');
  const id = await add('crikey');
  const second = other.query('select sealcast.add_blocked_term($1, $2) as id', [streams[0], 'crikey']);
  await moderator.query('commit');
  assert.equal((await second).rows[0].id, id);
});

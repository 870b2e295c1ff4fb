// A client that knows the URL of one of two cells, and reads and writes streams of both, even while a stream is moved.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { cellOf, createClient, sse } from '../../client/index.js';
import { Cells } from '../integration/cells.mjs';
import { within } from '../integration/waiting.mjs';
import { seal } from './foreign_server.mjs';
import { QUICK, Reader } from './reader.mjs';
import { launch, serve } from './site.mjs';

const { streams } = JSON.parse(readFileSync(new URL('../vectors/cells.json', import.meta.url)));

let cells, a, b;
before(async () => {
  cells = await Cells.create();
  ({ a, b } = cells);
});
after(() => cells?.close());

// A fetch that records the origin of each request.
function recordingFetch() {
  const asked = [];
  const recording = (url, init) => {
    asked.push(new URL(url).origin);
    return fetch(url, init);
  };
  return { asked, fetch: recording };
}

const clientOf = (user, more = {}) => createClient({ url: a.url, token: user.token(), retry: QUICK, ...more });

test('cellOf() gives the cell of the vectors', { skip: globalThis.crypto?.subtle ? false : 'crypto.subtle is missing' }, async () => {
  assert.ok(streams.length >= 40);
  for (const { stream_id, cells: names, cell } of streams) {
    assert.equal(await cellOf(stream_id, names), cell);
    assert.equal(await cellOf(stream_id.toUpperCase(), [...names].reverse()), cell);
    assert.equal(await cellOf(stream_id.toUpperCase(), names, { [stream_id]: 'elsewhere' }), 'elsewhere');
  }
  assert.equal(await cellOf(streams[0].stream_id, []), null);
});

test('sends to and reads a stream of the other cell, and gets a ticket for it', async () => {
  const [room, user] = [await cells.stream(b), cells.stack.user()];
  const { asked, fetch } = recordingFetch();
  const client = clientOf(user, { fetch, transports: [sse(), { ...sse({ ticket: true }), name: 'ticket' }] });
  const reader = new Reader(client, room, { from: 0 });
  await reader.ready();
  const { txn_id: txnId } = await client.sendMessage(room, 'chat', { content: 'one' });
  await reader.reached(1);
  assert.deepEqual(await b.stored(room), [txnId]);
  assert.deepEqual((await client.messages(room)).messages.map(({ envelope }) => envelope.txn_id), [txnId]);
  assert.ok((await client.ticket(room)).access_token);
  const another = new Reader(client, room, { from: 0, transport: 'ticket' });
  await another.reached(1);
  assert.deepEqual(asked.slice(0, 2), [a.url, b.url]);
  assert.ok(asked.length > 6 && asked.slice(3).every((url) => url === b.url), `the client remembers the cell: ${asked}`);
  assert.deepEqual(reader.errors, []);

  const here = await cells.stream(a);
  await client.sendMessage(here.toUpperCase(), 'chat', { content: 'here' });
  assert.equal(asked.at(-1), a.url, 'the cell is remembered for each stream separately');
});

test('while a stream is moved, its reader gets each message once and in order', { timeout: 120_000 }, async () => {
  const room = await cells.stream(a);
  const reader = new Reader(clientOf(cells.stack.user()), room);
  await reader.ready();
  let moving = true;
  const sent = [];
  const write = async (user) => {
    for (let n = 0; moving || n < 5; n++) sent.push((await clientOf(user).sendMessage(room, 'chat', { n })).txn_id);
  };
  const writers = [1, 2].map(() => write(cells.stack.user()));
  await reader.reached(5);
  await cells.move(room, a, b);
  await reader.until('the reader reads in the other cell', () => reader.statuses.filter((status) => status === 'live').length > 1);
  const [{ before }] = await b.query('select sealcast_internal.last_offset($1) as before', [room]);
  await reader.reached(Number(before) + 5);
  moving = false;
  await within('the writers end', Promise.all(writers));
  await reader.reached(sent.length);
  reader.assertOffsets(1, sent.length);
  assert.deepEqual(new Set(reader.frames.map(({ envelope }) => envelope.txn_id)), new Set(sent));
  assert.deepEqual(new Set(await b.stored(room)), new Set(sent));
  assert.ok(!reader.statuses.includes('failed'), String(reader.errors));
});

test('a page of another origin sends to and reads a stream of the other cell', async () => {
  const [site, browser] = [await serve(), await launch()];
  try {
    const page = await browser.newPage();
    await page.goto(site.origin);
    const [room, user] = [await cells.stream(b), cells.stack.user()];
    const read = page.evaluate(
      async ([url, token, streamId]) => {
        const { createClient } = await import('/client/index.js');
        const client = createClient({ url, token });
        const first = new Promise((resolve) => (globalThis.reader = client.subscribeStreamEvents(streamId, resolve)));
        await globalThis.reader.ready;
        await client.sendMessage(streamId, 'chat', { content: 'from a page' });
        return first;
      },
      [a.url, user.token(), room],
    );
    const { offset, envelope } = await within('the page reads what it sent', read);
    assert.deepEqual([offset, await b.stored(room)], [1, [envelope.txn_id]]);
  } finally {
    await browser.close();
    site.server.close();
  }
});

test('a wrong_cell answer is not followed with followCells: false, to anything but an origin, or from TLS to no TLS', async () => {
  const room = await cells.stream(b);
  const elsewhere = { status: 421, code: 'wrong_cell', details: b.url };
  await assert.rejects(clientOf(cells.stack.user(), { followCells: false }).sendMessage(room, 'chat', {}), elsewhere);

  const targets = ['http://cell.example', 'javascript:alert(1)', 'https://cell.example/path', 'https://u:p@cell.example', null];
  for (const details of targets) {
    const asked = [];
    const answer = async (url, { headers }) => {
      asked.push(url, headers.Authorization);
      return new Response(JSON.stringify({ code: 'wrong_cell', message: 'm', details, hint: null }), { status: 421 });
    };
    const client = createClient({ url: 'https://home.example', token: 'secret', fetch: answer, retry: QUICK });
    await assert.rejects(client.messages(room), { status: 421, code: 'wrong_cell', details });
    assert.deepEqual(asked, [`https://home.example/streams/${room}/messages?`, 'Bearer secret']);
  }
});

// A client with a simulated network. `answers` has for each origin the stream's cell, 'here', or 'gone'.
function simulate(answers) {
  const asked = [];
  const fetch = async (url, { body }) => {
    const { origin } = new URL(url);
    asked.push(origin);
    const answer = answers[origin];
    if (answer === 'gone') throw new TypeError('fetch failed');
    if (answer === 'here') return Response.json(body ? seal(body) : { messages: [], first: 1, last: 0 });
    return Response.json({ code: 'wrong_cell', message: 'm', details: answer, hint: null }, { status: 421 });
  };
  return { asked, fetch, answers, client: createClient({ url: 'https://one.example', fetch, retry: QUICK }) };
}

test('when cells disagree, a request stops after four attempts, and sendMessage() retries it', async () => {
  const { asked, client, answers } = simulate({ 'https://one.example': 'https://two.example', 'https://two.example': 'https://one.example' });
  const room = randomUUID();
  await assert.rejects(client.messages(room), { status: 0, code: 'cells_disagree', retryable: true });
  assert.equal(asked.length, 4);
  const sent = client.sendMessage(room, 'chat', {});
  answers['https://two.example'] = 'here';
  await within('the message is sent when the cells agree', sent);
});

test('a cell that is gone or no longer has the stream is forgotten', async () => {
  const { asked, client, answers } = simulate({ 'https://one.example': 'https://two.example', 'https://two.example': 'here', 'https://three.example': 'here' });
  const room = randomUUID();
  await client.messages(room);
  await client.messages(room);
  assert.deepEqual(asked.splice(0).map((url) => url.slice(8, 11)), ['one', 'two', 'two']);
  answers['https://two.example'] = 'https://three.example:443';
  await client.messages(room);
  await client.messages(room);
  assert.deepEqual(asked.splice(0).map((url) => url.slice(8, 11)), ['two', 'thr', 'thr'], 'the origin may contain a port');
  answers['https://three.example'] = 'gone';
  answers['https://one.example'] = 'here';
  await assert.rejects(client.messages(room), { code: 'unreachable' });
  await client.messages(room);
  assert.deepEqual(asked.splice(0).map((url) => url.slice(8, 11)), ['thr', 'one']);
});

// Subscribers receive each frame once and in order, also when their connections are cut.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { checkEnvelope } from './envelope.mjs';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { sharedStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack;
before(async () => {
  stack = await sharedStack();
});
after(() => stack.close());

const sendAs = async (user, body) => {
  const answer = await send(stack.url, user, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.text;
};

async function sendMany(room, count) {
  for (let i = 0; i < count; i++) await sendAs(stack.user(), message(room, `message ${i}`));
}

const get = (path, headers) => request(`${stack.url}${path}`, { headers });

test('each message over HTTP and from SQL arrives as one frame', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(stack.url, room);
  assert.match(subscriber.headers['content-type'], /^text\/event-stream/);
  assert.match(subscriber.headers['cache-control'], /no-cache|no-store/);
  const sent = [
    await sendAs(stack.user(), message(room, 'over HTTP')),
    await stack.sendFromSql(stack.user(), message(room, 'from SQL\n\nwith lines\u2028')),
    await sendAs(stack.user(), message(room, 'again')),
  ];
  const frames = await subscriber.received(3);
  for (const [i, frame] of frames.entries()) {
    assert.deepEqual(Object.keys(frame), ['offset', 'prev', 'envelope', 'id', 'text']);
    assert.deepEqual([frame.offset, frame.prev, frame.id], [i + 1, i, `${await stack.logEpoch()}:${i + 1}`]);
    assert.equal(frame.text, `{"offset":${i + 1},"prev":${i},"envelope":${sent[i]}}`);
    checkEnvelope(sent[i], stack.keyring);
  }
  subscriber.close();
});

test('a subscriber begins with the next message, and gets no frames of other streams', async () => {
  const [room, other] = [await stack.stream(), await stack.stream()];
  const early = await Subscriber.to(stack.url, room);
  await sendAs(stack.user(), message(room, 'before'));
  await early.received(1);
  const subscriber = await Subscriber.to(stack.url, room);
  await sendAs(stack.user(), message(other, 'elsewhere'));
  await sendAs(stack.user(), message(room, 'after'));
  const [frame] = await subscriber.received(1);
  assert.deepEqual([frame.offset, frame.envelope.d.content], [2, 'after']);
  await early.received(2);
  assert.equal(subscriber.frames.length, 1);
  early.close();
  subscriber.close();
});

test('refused and repeated messages are not delivered', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(stack.url, room);
  const user = stack.user();
  const body = message(room, 'once');
  await sendAs(user, body);
  await sendAs(user, body);
  assert.equal((await send(stack.url, user, { ...body, d: {} })).status, 409);
  await sendAs(user, message(room, 'last'));
  const frames = await subscriber.received(2);
  assert.deepEqual(frames.map((f) => f.envelope.d.content), ['once', 'last']);
  subscriber.close();
});

test('Last-Event-ID resumes after its offset, and 0 begins with the first message', async () => {
  const room = await stack.stream();
  const live = await Subscriber.to(stack.url, room);
  await sendMany(room, 10);
  const all = await live.received(10);
  for (const from of [0, 4, 9]) {
    const resumed = await Subscriber.to(stack.url, room, { lastEventId: from });
    await resumed.received(10 - from);
    assert.deepEqual(resumed.frames, all.slice(from));
    resumed.close();
  }
  const upToDate = await Subscriber.to(stack.url, room, { lastEventId: 10 });
  await sendAs(stack.user(), message(room, 'next'));
  assert.deepEqual((await upToDate.received(1)).map((f) => f.offset), [11]);
  upToDate.close();
  live.close();
});

test('a resume reads several pages of history', async () => {
  const room = await stack.stream();
  await stack.query(
    `select from sealcast.admit(array_fill($1::uuid, array[2500]), array_fill('chat'::text, array[2500]),
       array(select gen_random_uuid() from generate_series(1, 2500)), array(select gen_random_uuid() from generate_series(1, 2500)),
       array(select '{"n":' || n || '}' from generate_series(1, 2500) n))`,
    [room],
  );
  const resumed = await Subscriber.to(stack.url, room, { lastEventId: 0 });
  const frames = await resumed.received(2500, 30_000);
  assert.deepEqual(frames.map((f) => f.offset), Array.from({ length: 2500 }, (_, i) => i + 1));
  resumed.close();
});

test('a Last-Event-ID that is no resume point starts the reader over, with a reset', async () => {
  const room = await stack.stream();
  await sendMany(room, 3);
  const ids = ['x', '-1', '1e3', '99999999999999999999', "1'--", 'null', 'undefined', ':', '1:', ':1', 'A:1', '%0d%0aX: y'];
  for (const options of [...ids.map((lastEventId) => ({ lastEventId })), { query: '?last_event_id=x' }, { query: '?lastEventId=x' }]) {
    const reader = await Subscriber.to(stack.url, room, options);
    assert.deepEqual((await reader.received(3)).map((frame) => frame.offset), [1, 2, 3], JSON.stringify(options));
    assert.deepEqual(reader.resets.map(({ reset, offset }) => [reset, offset]), [[true, 0]]);
    assert.equal(reader.headers['cache-control'], 'no-store, no-transform', 'no proxy may compress the stream');
    reader.close();
  }
});

test('the resume point may be in the query, under the name of either EventSource library', async () => {
  const room = await stack.stream();
  await sendMany(room, 3);
  for (const name of ['last_event_id', 'lastEventId']) {
    const reader = await Subscriber.to(stack.url, room, { query: `?${name}=1` });
    assert.deepEqual((await reader.received(2)).map((frame) => frame.offset), [2, 3], name);
    reader.close();
    // A browser sends the header when it connects again, and keeps the URL.
    const again = await Subscriber.to(stack.url, room, { query: `?${name}=1`, lastEventId: 2 });
    assert.deepEqual((await again.received(1)).map((frame) => frame.offset), [3], name);
    again.close();
  }
});

test('a resume point older than the retention gets a reset frame, and then the messages left', async () => {
  const room = await stack.stream();
  const live = await Subscriber.to(stack.url, room);
  await sendMany(room, 6);
  const all = await live.received(6);
  live.close();
  // The state after maintain() has dropped a day.
  await stack.query('delete from sealcast.stream_runs where stream_id = $1 and "offset" <= 4', [room]);
  await stack.query('update sealcast.streams set trimmed_through = 4 where stream_id = $1', [room]);
  const resumed = await Subscriber.to(stack.url, room, { lastEventId: 2 });
  await resumed.received(2);
  assert.equal(resumed.resets.length, 1);
  assert.equal(resumed.resets[0].reset, true);
  assert.deepEqual(resumed.frames.map((f) => f.offset), [5, 6]);
  assert.deepEqual(resumed.frames.map((f) => f.envelope), all.slice(4).map((f) => f.envelope));
  const [trimmedJustBefore] = await Promise.all([Subscriber.to(stack.url, room, { lastEventId: 4 })]);
  await trimmedJustBefore.received(2);
  assert.equal(trimmedJustBefore.resets.length, 0, 'nothing is missing after offset 4');
  resumed.close();
  trimmedJustBefore.close();
});

test('20 subscribers that lose their connections often get exactly the committed messages', { timeout: 180_000 }, async () => {
  const total = 2000;
  const room = await stack.stream();
  const committed = new Set();
  let sending = true;

  const senders = Array.from({ length: 8 }, async (_, sender) => {
    for (let i = sender; i < total; i += 8) {
      if (i % 100 === 0) committed.add(JSON.parse(await stack.sendFromSql(stack.user(), message(room, `${i}`))).txn_id);
      else committed.add(JSON.parse(await sendAs(stack.user(), message(room, `${i}`))).txn_id);
    }
  });

  let disconnects = 0;
  const subscribers = Array.from({ length: 20 }, async (_, n) => {
    const held = [];
    let lastEventId = 0;
    while (held.length < total) {
      const subscriber = await Subscriber.to(stack.url, room, { lastEventId });
      // Closes the connection after a varying time while messages are sent; later reads to the end.
      if (sending) await pause(20 + ((n * 7919 + disconnects * 104729) % 400));
      else await subscriber.received(total - held.length, 60_000);
      held.push(...subscriber.frames);
      lastEventId = subscriber.lastEventId;
      assert.equal(subscriber.resets.length, 0);
      subscriber.close();
      disconnects++;
    }
    return held;
  });
  await Promise.all(senders);
  sending = false;
  assert.equal(committed.size, total);
  assert.deepEqual(new Set(await stack.stored(room)), committed);
  for (const held of await Promise.all(subscribers)) {
    assert.deepEqual(held.map((f) => f.offset), Array.from({ length: total }, (_, i) => i + 1));
    assert.ok(held.every((f) => f.prev === f.offset - 1 && Number(f.id.split(':').at(-1)) === f.offset));
    assert.deepEqual(new Set(held.map((f) => f.envelope.txn_id)), committed);
  }
  assert.ok(disconnects > 60, `only ${disconnects} connections were lost`);
});

test('the messages of a sender are delivered in the order of sending', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(stack.url, room);
  const users = Array.from({ length: 10 }, () => stack.user());
  await Promise.all(
    users.map(async (user) => {
      for (let i = 0; i < 5; i++) await sendAs(user, message(room, i));
    }),
  );
  const frames = await subscriber.received(50);
  for (const user of users) {
    assert.deepEqual(frames.filter((f) => f.envelope.s === user.id).map((f) => f.envelope.d.content), [0, 1, 2, 3, 4]);
  }
  subscriber.close();
});

test('a long transaction delays only its own messages', async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(stack.url, room);
  const slow = await stack.connect();
  const admit = 'select status from sealcast.admit(array[$1]::uuid[], array[$2], array[$3]::uuid[], array[$4]::uuid[], array[$5])';
  try {
    await slow.query('begin');
    const { rows } = await slow.query(admit, [room, 'chat', randomUUID(), randomUUID(), '{"content":"slow"}']);
    assert.equal(rows[0].status, 200);
    await sendAs(stack.user(), message(room, 'quick'));
    assert.equal((await subscriber.received(1))[0].envelope.d.content, 'quick');
    await slow.query('commit');
    assert.equal((await subscriber.received(2))[1].envelope.d.content, 'slow');
    await slow.query('begin');
    await slow.query(admit, [room, 'chat', randomUUID(), randomUUID(), '{"content":"undone"}']);
    await slow.query('rollback');
    await sendAs(stack.user(), message(room, 'last'));
    const frames = await subscriber.received(3);
    assert.deepEqual(frames.map((f) => [f.offset, f.envelope.d.content]), [[1, 'quick'], [2, 'slow'], [3, 'last']]);
  } finally {
    await slow.end();
    subscriber.close();
  }
});

test('an unknown stream gets 404, and an invalid id gets 400 or 404', async () => {
  for (const path of ['events', 'messages']) {
    assert.equal((await get(`/streams/${randomUUID()}/${path}`)).status, 404);
    assert.ok([400, 404].includes((await get(`/streams/lobby/${path}`)).status));
  }
});

test('a private stream is read by its members only', async () => {
  const room = await stack.stream({ visibility: 'private' });
  const [member, stranger, banned] = [stack.user(), stack.user(), stack.user()];
  await stack.grant(room, member, 'subscriber');
  await stack.grant(room, banned, 'subscriber');
  await stack.query("select sealcast.ban($1, $2, '2099-01-02T03:04:05.678Z')", [room, banned.id]);
  for (const path of [`/streams/${room}/events`, `/streams/${room}/messages`]) {
    assert.equal((await get(path)).status, 401);
    assert.equal((await get(path, { authorization: 'Bearer x' })).status, 401);
    for (const [user, code, details] of [
      [stranger, 'role_required', null],
      [banned, 'user_banned', 'until 2099-01-02T03:04:05.678Z'],
    ]) {
      const answer = await get(path, user.headers);
      assert.deepEqual([answer.status, answer.json.code, answer.json.details], [403, code, details]);
    }
  }
  const subscriber = await Subscriber.to(stack.url, room, { headers: member.headers });
  await sendAs(member, message(room, 'among us'));
  await subscriber.received(1);
  assert.equal((await get(`/streams/${room}/messages`, member.headers)).status, 200);
  subscriber.close();
});

const ticketFor = async (room, user) => {
  const answer = await request(`${stack.url}/streams/${room}/token`, { method: 'POST', headers: user.headers });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const ticketIn = (body) => body.access_token ?? body.token ?? assert.fail(`no token in ${JSON.stringify(body)}`);

test('a ticket from /streams/{id}/token reads its stream and allows nothing else', async () => {
  const [room, other] = [await stack.stream({ visibility: 'private' }), await stack.stream({ visibility: 'private' })];
  const [member, stranger] = [stack.user(), stack.user()];
  for (const stream of [room, other]) await stack.grant(stream, member, 'subscriber');
  const ticket = ticketIn(await ticketFor(room, member));

  const query = `?access_token=${encodeURIComponent(ticket)}`;
  const subscriber = await Subscriber.to(stack.url, room, { query });
  await sendAs(member, message(room, 'by ticket'));
  await subscriber.received(1);
  subscriber.close();
  assert.equal((await get(`/streams/${room}/messages${query}`)).status, 200);

  assert.ok([401, 403].includes((await get(`/streams/${other}/events${query}`)).status), "another stream's events");
  assert.ok([401, 403].includes((await get(`/streams/${other}/messages${query}`)).status), "another stream's history");
  const ticketHolder = { headers: { authorization: `Bearer ${ticket}` } };
  assert.equal((await send(stack.url, ticketHolder, message(room))).status, 401, 'a ticket is not a session');
  const renewed = await request(`${stack.url}/streams/${room}/token`, { method: 'POST', headers: ticketHolder.headers });
  assert.equal(renewed.status, 401, 'a ticket gives no new ticket');
  assert.equal((await get(`/streams/${room}/events?access_token=${member.token()}`)).status, 401, 'a session is not a ticket');
  assert.equal((await get(`/streams/${room}/events?access_token=${ticket.slice(0, -2)}`)).status, 401, 'a shortened ticket');

  for (const [user, status] of [[stranger, 403], [{ headers: {} }, 401]]) {
    const answer = await request(`${stack.url}/streams/${room}/token`, { method: 'POST', headers: user.headers });
    assert.equal(answer.status, status, answer.text);
  }
});

test('a page that ends because of its size has "more", and the next page continues', async () => {
  const room = await stack.stream();
  const content = 'x'.repeat(16_000);
  const sent = Array.from({ length: 100 }, () => message(room, content));
  for (let i = 0; i < sent.length; i += 20) await Promise.all(sent.slice(i, i + 20).map((body) => send(stack.url, stack.user(), body)));
  const page = async (query) => (await get(`/streams/${room}/messages?limit=500${query}`)).json;
  await until('every message has its offset', async () => (await page('')).last === sent.length);
  for (const backwards of [false, true]) {
    const offsets = [];
    for (let more = true, next = ''; more; ) {
      const answer = await page(backwards ? next : next || '&after=0');
      const got = answer.messages.map(({ offset }) => offset);
      assert.ok(got.length > 0 && got.length < 80, `${got.length} in one answer`);
      offsets.push(...(backwards ? [...got].reverse() : got));
      more = answer.more ?? false;
      next = backwards ? `&before=${got[0]}` : `&after=${got.at(-1)}`;
    }
    const all = Array.from({ length: 100 }, (_, i) => i + 1);
    assert.deepEqual(offsets, backwards ? [...all].reverse() : all);
  }
});

test('GET /streams/{id}/messages pages forwards and backwards', async () => {
  const room = await stack.stream();
  const live = await Subscriber.to(stack.url, room);
  await sendMany(room, 12);
  const all = (await live.received(12)).map((f) => f.text);
  live.close();
  const page = async (query) => {
    const answer = await get(`/streams/${room}/messages${query}`);
    assert.equal(answer.status, 200, answer.text);
    const list = Array.isArray(answer.json) ? answer.json : answer.json.messages;
    return list.map((frame) => JSON.stringify(frame));
  };
  assert.deepEqual(await page(''), all);
  assert.deepEqual(await page('?limit=5'), all.slice(7), 'the newest messages');
  assert.deepEqual(await page('?after=0&limit=5'), all.slice(0, 5));
  assert.deepEqual(await page('?after=5&limit=5'), all.slice(5, 10));
  assert.deepEqual(await page('?after=12'), []);
  assert.deepEqual(await page('?before=8&limit=3'), all.slice(4, 7));
  assert.deepEqual(await page('?before=1'), []);
  for (const query of ['?limit=0', '?limit=x', '?after=-1', '?before=x', '?limit=1000000']) {
    const answer = await get(`/streams/${room}/messages${query}`);
    assert.equal(answer.status, 400, `${query}: ${answer.text}`);
    assert.equal(answer.json.code, 'invalid_request');
  }
});

test('metrics count messages and contain no secret', async () => {
  const { status, text } = await get('/metrics');
  assert.equal(status, 200);
  assert.match(text, /^sealcast_messages_total\{code="ok"\} [1-9]/m);
  for (const path of ['/healthz', '/readyz']) assert.equal((await get(path)).status, 200);
  assert.ok(!text.includes(stack.sessionSecret));
});

test('a subscriber that closes its connection is no longer counted', async () => {
  const room = await stack.stream();
  const subscribers = async () => Number((await get('/metrics')).text.match(/^sealcast_sse_subscribers (\d+)/m)[1]);
  const before = await subscribers();
  const several = await Promise.all(Array.from({ length: 5 }, () => Subscriber.to(stack.url, room)));
  await until('five more are counted', async () => (await subscribers()) >= before + 5);
  for (const subscriber of several) subscriber.close();
  await until('the subscribers are gone', async () => (await subscribers()) <= before);
});

test('a message whose row is erased keeps its frame in the history and in resumed event streams', async () => {
  const room = await stack.stream();
  await sendMany(room, 4);
  await until('the messages are relayed', async () => (await get(`/streams/${room}/messages?limit=1`)).json.last === 4);
  await stack.query('delete from sealcast.messages m using sealcast.stream_log l where l.stream_id = $1 and l."offset" in (1, 3) and m.message_id = l.message_id', [room]);
  const gone = (offset) => ({ offset, prev: offset - 1, gone: true });
  const { messages } = (await get(`/streams/${room}/messages?after=0`)).json;
  assert.deepEqual([messages[0], messages[2]], [gone(1), gone(3)]);
  assert.deepEqual(messages.map(({ offset }) => offset), [1, 2, 3, 4]);
  const resumed = await Subscriber.to(stack.url, room, { lastEventId: 0 });
  const frames = await resumed.received(4);
  assert.deepEqual(frames.map(({ text }) => text.replace(/"envelope":.*/, '')).filter((text) => text.includes('gone')), [
    '{"offset":1,"prev":0,"gone":true}',
    '{"offset":3,"prev":2,"gone":true}',
  ]);
  resumed.close();
});

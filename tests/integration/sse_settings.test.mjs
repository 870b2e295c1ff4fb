// Event streams with short settings: heartbeats, expiring tickets, slow subscribers, and the limit of subscribers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar({
    SEALCAST_SSE_HEARTBEAT_MS: '200',
    SEALCAST_SSE_MAX_SUBSCRIBERS: '3',
    SEALCAST_SSE_RING_FRAMES: '16',
    SEALCAST_SESSION_TICKET_TTL_S: '5',
    SEALCAST_LOG_LEVEL: 'debug',
  });
});
after(async () => {
  await sidecar.stop();
  await stack.close();
});

test('heartbeats are sent as comments', async () => {
  const subscriber = await Subscriber.to(sidecar.url, await stack.stream());
  await until('two heartbeats', () => subscriber.comments.length >= 2);
  assert.deepEqual(subscriber.frames, []);
  subscriber.close();
});

test('a ticket expires, and is never logged', async () => {
  const room = await stack.stream({ visibility: 'private' });
  const member = stack.user();
  await stack.grant(room, member, 'subscriber');
  const answer = await request(`${sidecar.url}/streams/${room}/token`, { method: 'POST', headers: member.headers });
  const ticket = answer.json.access_token ?? answer.json.token;
  const path = `${sidecar.url}/streams/${room}/messages?access_token=${ticket}`;
  assert.equal((await request(path)).status, 200);
  const refused = await until('the ticket expires', async () => {
    const late = await request(path);
    return late.status !== 200 && late;
  });
  assert.equal(refused.status, 401);
  const log = sidecar.log.join('\n');
  for (const secret of [ticket, stack.sessionSecret, member.token()]) assert.ok(!log.includes(secret));
});

test('each line of the log is JSON with a tag', () => {
  assert.ok(sidecar.log.length > 0);
  for (const line of sidecar.log) {
    const entry = JSON.parse(line);
    assert.match(entry.tag, /^\[[A-Z]+\]$/, line);
    assert.ok(entry.message && entry.time && entry.level, line);
  }
});

test('a subscriber over the limit gets 503 overloaded', async () => {
  const room = await stack.stream();
  const allowed = await Promise.all([1, 2, 3].map(() => Subscriber.to(sidecar.url, room)));
  const answer = await request(`${sidecar.url}/streams/${room}/events`);
  assert.equal(answer.status, 503);
  assert.equal(answer.json.code, 'overloaded');
  assert.ok(Number(answer.headers['retry-after']) >= 1);
  for (const subscriber of allowed) subscriber.close();
  await until('a subscriber is accepted again', async () => {
    const next = await Subscriber.to(sidecar.url, room).catch(() => null);
    next?.close();
    return next;
  });
});

test('a subscriber that does not read is cut off and can resume', { timeout: 60_000 }, async () => {
  const room = await stack.stream();
  const lazy = await RawConnection.open(sidecar.url);
  lazy.write(rawRequest(`/streams/${room}/events`, { 'content-length': undefined }, '', 'GET'));
  lazy.socket.pause();
  const quick = await Subscriber.to(sidecar.url, room);
  const dropped = async () => {
    const { text } = await request(`${sidecar.url}/metrics`);
    return Number(text.match(/^sealcast_sse_dropped_total (\d+)/m)?.[1] ?? 0);
  };
  let sent = 0;
  while ((await dropped()) === 0) {
    assert.ok(sent < 4000, 'the subscriber was not cut off');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => send(sidecar.url, stack.user(), message(room, 'x'.repeat(15_000)))),
    );
    assert.ok(answers.every((a) => a.status === 200));
    sent += 8;
    await quick.received(sent);
  }
  const back = await Subscriber.to(sidecar.url, room, { lastEventId: 0 });
  await back.received(sent, 30_000);
  assert.deepEqual(back.frames.map((f) => f.offset), Array.from({ length: sent }, (_, i) => i + 1));
  for (const connection of [lazy, quick, back]) connection.close();
});

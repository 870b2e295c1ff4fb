// Redaction: nobody who reads a message after its redaction gets the content, by any path. The signature still holds.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { dice } from './dice.mjs';
import { payloadHash } from './envelope.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, target;
const sidecars = [];
before(async () => {
  stack = await PrivateStack.create();
  target = await RedisTarget.start(stack);
});
afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) if (sidecar.running) await sidecar.stop();
  await stack.query("select sealcast.forget_transport(t) from unnest('{redis_streams,redis_events}'::text[]) t");
});
after(() => stack.close());

const settings = () => ({
  SEALCAST_REDIS_STREAMS_URL: target.url,
  SEALCAST_REDIS_EVENTS_URL: target.url,
  SEALCAST_GATE_TIMEOUT_MS: '5000',
  SEALCAST_GATE_SOCKET: '',
});

async function start() {
  const sidecar = await stack.sidecar(settings());
  sidecars.push(sidecar);
  // A new transport begins with the next message, so the test waits until both have begun.
  await until('the transports have begun', async () => (await stack.query('select from sealcast.delivery_status')).length >= 2);
  return sidecar;
}

async function room() {
  const id = await stack.stream();
  const moderator = stack.user();
  await stack.grant(id, moderator, 'moderator');
  return { id, moderator, guest: stack.user() };
}

const call = (sidecar, name, user, body) => request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: user.headers, body });
const history = async (sidecar, id) => (await request(`${sidecar.url}/streams/${id}/messages?after=0&limit=500`)).json.messages;

async function say(sidecar, user, id, content) {
  const answer = await send(sidecar.url, user, message(id, content));
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

// What Redis holds for a stream: the texts of its frames, in the Redis stream of the transport and in the event partitions.
async function inRedis(id) {
  const partitions = await stack.query('select p.partitions from sealcast_internal.event_losses p');
  const keys = [`sealcast:stream:${id}`, ...Array.from({ length: partitions[0].partitions ?? 0 }, (_, n) => `sealcast:events:${n}`)];
  const texts = await Promise.all(keys.map(async (key) => JSON.stringify(await target.command('xrange', key, '-', '+'))));
  return texts.join('\n');
}

test('a redacted message keeps its offset and its proof, and loses its content everywhere', async () => {
  const sidecar = await start();
  const { id, moderator, guest } = await room();
  const early = await Subscriber.to(sidecar.url, id);
  const envelope = await say(sidecar, guest, id, 'a secret');
  await say(sidecar, guest, id, 'kept');
  const [{ offset }] = await early.received(2);

  assert.equal((await call(sidecar, 'redact_message', stack.user(), { stream_id: id, offset })).json.code, 'role_required');
  const answer = await call(sidecar, 'redact_message', moderator, { stream_id: id, offset, reason: 'rude' });
  assert.deepEqual([answer.status, answer.json], [200, true], answer.text);

  const announced = (await early.received(3))[2].envelope;
  const { ts, txn_id, s: sender_id } = envelope;
  assert.equal(announced.t, 'message_redacted');
  assert.deepEqual(announced.d, { offset, txn_id, sender_id, ts, by: moderator.id, reason: 'rude' });

  // The reader who came before keeps the ring of the stream, so the late one reads from it.
  const { d, sig, ...head } = envelope;
  const expected = { ...head, d: null, payload_hash: payloadHash(d), sig };
  const redacted = { by: moderator.id, at: announced.ts, reason: 'rude' };
  const late = await Subscriber.to(sidecar.url, id, { lastEventId: 0 });
  const [first] = await late.received(3);
  assert.deepEqual([first.envelope, first.redacted], [expected, redacted], 'an event stream');
  const [stored] = await history(sidecar, id);
  assert.deepEqual(stored, { offset, prev: 0, envelope: expected, redacted }, 'the history');
  assert.equal(first.text, JSON.stringify(stored), 'byte for byte the same');
  assert.deepEqual(Object.keys(stored.envelope), ['v', 'kid', 't', 'stream_id', 's', 'ts', 'txn_id', 'd', 'payload_hash', 'sig']);

  const verify = async (body) => (await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body })).json.result;
  assert.equal(await verify(stored.envelope), 'redacted');
  assert.equal(await verify({ ...stored.envelope, payload_hash: '0'.repeat(64) }), 'bad_signature');
  assert.equal(await verify({ ...stored.envelope, d }), 'malformed');

  assert.equal((await call(sidecar, 'redact_message', moderator, { stream_id: id, offset })).json, false, 'a second redaction');
  assert.equal((await call(sidecar, 'redact_message', moderator, { stream_id: id, offset: 99 })).json.code, 'message_not_found');
  const repeat = await send(sidecar.url, guest, { stream_id: id, t: 'chat', d, txn_id });
  assert.deepEqual([repeat.headers['idempotency-replayed'], repeat.json], ['true', expected], 'a repeat gets the redacted envelope');

  await until('the content has left Redis', async () => !(await inRedis(id)).includes('a secret'));
  const kept = await inRedis(id);
  assert(kept.includes('kept') && kept.includes('message_redacted'), 'and nothing else has');
  const frames = await target.frames(id);
  assert.deepEqual(frames.map((f) => f.offset), [2, 3], 'the Redis stream lacks the entry');
  early.close();
  late.close();
});

test('a purge announces any number of messages by one frame', { timeout: 120_000 }, async () => {
  const sidecar = await start();
  const { id, moderator, guest } = await room();
  const reader = await Subscriber.to(sidecar.url, id);
  const count = 10_000;
  for (let i = 0; i < count; i += 1000) {
    await stack.query(
      `select from sealcast.admit(array_fill($1::uuid, '{1000}'), array_fill('chat'::text, '{1000}'), array_fill($2::uuid, '{1000}'),
                                  array(select gen_random_uuid() from generate_series(1, 1000)), array_fill('{"content":"spam"}'::text, '{1000}'))`,
      [id, guest.id],
    );
  }
  await stack.query('select sealcast_internal.wake()');
  await say(sidecar, moderator, id, 'stop it');
  await reader.received(count + 1, 60_000);
  const began = Date.now();
  const answer = await call(sidecar, 'ban', moderator, { stream_id: id, user_id: guest.id, reason: 'for the user', purge: '1 hour' });
  assert.equal(answer.status, 204, answer.text);
  console.log(`# redacted ${count} messages in ${Date.now() - began} ms`);
  const frames = await reader.received(count + 2);
  assert.equal(frames.length, count + 2);
  const first = frames[0].envelope.ts, last = frames[count - 1].envelope.ts;
  assert.deepEqual(frames.at(-1).envelope.d, { user_id: guest.id, since: first, through: last, by: moderator.id, reason: null });
  assert(frames.at(-1).envelope.t === 'messages_purged' && !frames.at(-1).text.includes('for the user'));
  const late = await Subscriber.to(sidecar.url, id, { lastEventId: 0 });
  assert(!(await late.received(count + 2)).some((f) => f.text.includes('spam')), 'a late reader');
  assert.equal(late.frames.filter((f) => f.redacted?.by === moderator.id).length, count);
  await until('the content has left Redis', async () => !(await inRedis(id)).includes('spam'), 60_000);
  late.close();
  reader.close();
});

test('a message that is redacted while it waits for a retry is published redacted', { timeout: 60_000 }, async () => {
  const sidecar = await start();
  const { id, moderator, guest } = await room();
  const reader = await Subscriber.to(sidecar.url, id);
  await target.stop();
  await say(sidecar, guest, id, 'a secret');
  await reader.received(1);
  assert.equal((await call(sidecar, 'redact_message', moderator, { stream_id: id, offset: 1 })).json, true);
  await reader.received(2);
  await target.start();
  const frames = await until('both frames arrive', async () => {
    const all = await target.frames(id);
    return all.length >= 2 && all;
  });
  assert.deepEqual([frames[0].envelope.d, frames[0].redacted.by], [null, moderator.id]);
  assert(!(await target.text('xrange', `sealcast:stream:${id}`, '-', '+')).includes('a secret'));
  reader.close();
});

test('a handler that has not run yet gets the redacted message', { timeout: 60_000 }, async () => {
  const sidecar = await start();
  const { id, moderator, guest } = await room();
  await stack.query(`create table public.seen (stream_id uuid, txn_id uuid, d text)`);
  await stack.query(`create function public.see(e sealcast.event) returns void language sql security definer as
                     $$ insert into public.seen values ((e).stream_id, (e).txn_id, (e).d::text) $$`);
  await stack.query('grant execute on function public.see(sealcast.event) to sealcast_service');
  await stack.query(`select sealcast.register_handler('see', 'chat', 'public.see(sealcast.event)')`);
  const { txn_id } = await say(sidecar, guest, id, 'a secret');
  const other = await say(sidecar, guest, id, 'kept');
  await until('both have arrived in the Redis stream and in the partitions', async () => (await inRedis(id)).split('kept').length > 2);
  assert.equal((await call(sidecar, 'redact_message', moderator, { stream_id: id, txn_id, sender_id: guest.id })).json, true);
  await until('the content has left Redis', async () => !(await inRedis(id)).includes('a secret'));
  const worker = await stack.worker('default', settings());
  sidecars.push(worker);
  const rows = await until('both are applied', async () => {
    const all = await stack.query('select txn_id, d from public.seen where stream_id = $1 order by d nulls first', [id]);
    return all.length >= 2 && all;
  });
  assert.deepEqual(rows, [{ txn_id, d: null }, { txn_id: other.txn_id, d: '{"content":"kept"}' }]);
  assert.deepEqual(await stack.query(`select * from sealcast.check_effects('see')`), [], 'every message has its effect');
  await stack.query(`select sealcast.unregister_handler('see', forget => true)`);
});

// Random acts by random people at two sidecars. Every message holds a word of its own. A reader who comes after the redaction
// of a message must not find its word, by any path. The leader is killed between the commit of a redaction and its
// announcement: Postgres then knows the redaction, and the other sidecar does not.
test('no reader who comes after a redaction gets the content', { timeout: 180_000 }, async (context) => {
  const seed = Number(process.env.SEED ?? Date.now() % 100_000);
  context.diagnostic(`SEED=${seed}`);
  const roll = dice(seed);
  const pair = [await start(), await start()];
  const { id, moderator } = await room();
  const people = Array.from({ length: 4 }, () => stack.user());
  const words = new Map(); // of each message that is not redacted: its word
  const erased = [];
  const readers = await Promise.all(pair.map(({ url }) => Subscriber.to(url, id)));

  const relayed = async (count) => {
    for (const reader of readers) if (reader.open) await reader.received(count, 30_000);
  };
  const forget = (txn) => {
    erased.push(words.get(txn).word);
    words.delete(txn);
  };
  const total = async () => (await stack.stored(id)).length;
  const check = async (step) => {
    for (const sidecar of pair.filter(({ running }) => running)) {
      const resumed = roll(3) === 0 ? roll(readers[0].frames.length + 1) : 0;
      const late = await Subscriber.to(sidecar.url, id, { lastEventId: resumed });
      const page = (await request(`${sidecar.url}/streams/${id}/messages?after=0&limit=500`)).json;
      // The announcement may still be on its way. All messages before it are there.
      await until('the late reader has everything', () => late.ready && Math.max(resumed, late.frames.at(-1)?.offset ?? 0) >= page.last);
      const texts = [JSON.stringify(page.messages), ...late.frames.map((f) => f.text)];
      for (const word of erased) assert(!texts.some((text) => text.includes(word)), `step ${step}: ${word} at ${sidecar.url}`);
      late.close();
    }
  };

  for (let step = 0; step < 30; ++step) {
    const person = people[roll(people.length)];
    const sidecar = pair.find(({ running }) => running);
    for (let i = roll(4); i >= 0; --i) {
      const word = `w${randomUUID()}`;
      const [verdict] = await stack.query(
        `select status, envelope::json ->> 'txn_id' as txn_id from sealcast.admit(array[$1::uuid], '{chat}', array[$2::uuid], array[gen_random_uuid()], array[$3])`,
        [id, person.id, JSON.stringify({ content: word })],
      );
      assert.equal(verdict.status, 200);
      words.set(verdict.txn_id, { word, sender: person.id });
    }
    await stack.query('select sealcast_internal.wake()');
    // A message that is being relayed at the moment of its redaction reaches the readers of that moment.
    await relayed(await total());
    const [txn, { sender }] = [...words][roll(words.size)];
    const kill = roll(6) === 0;
    if (roll(4) === 0) {
      await stack.query('select sealcast.redact_messages($1, $2)', [id, sender]);
      for (const [other, one] of [...words]) if (one.sender === sender) forget(other);
    } else if (roll(2) === 0 && !kill) {
      const answer = await call(sidecar, 'redact_message', moderator, { stream_id: id, txn_id: txn, sender_id: sender });
      assert.equal(answer.json, true, answer.text);
      forget(txn);
    } else {
      await stack.query('select sealcast.redact_message($1, txn_id => $2, sender_id => $3)', [id, txn, sender]);
      forget(txn);
    }
    if (kill) {
      const [{ holder }] = await stack.query('select holder from sealcast_internal.relay_leases where shard = sealcast_internal.shard_of($1)', [id]);
      const leader = pair.find((one) => one.holder === holder);
      leader.process.kill('SIGKILL');
      await leader.exited;
      await check(step);
      const index = pair.indexOf(leader);
      pair[index] = await start();
      readers[index] = await Subscriber.to(pair[index].url, id, { lastEventId: 0 });
    } else {
      await check(step);
    }
  }
  await relayed(await total());
  await check('end');
  await until('no redacted word is in Redis', async () => {
    const held = await inRedis(id);
    return erased.every((word) => !held.includes(word));
  }, 60_000);
  const [{ n }] = await stack.query(`select count(*)::int as n from sealcast.messages m where stream_id = $1 and sealcast.verify_detail(sealcast.envelope(m)::json) not in ('ok', 'redacted')`, [id]);
  assert.equal(n, 0, 'every signature holds');
  for (const reader of readers) reader.close();
});

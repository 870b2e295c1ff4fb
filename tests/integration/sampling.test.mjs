// A chat storm at two sidecars: the sampling rate follows the velocity, the leader is killed, and event streams and history carry the
// same frames.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subscriber, request } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const settings = {
  SEALCAST_SAMPLING_STORM_PER_SECOND: '50',
  SEALCAST_SAMPLING_CALM_MS: '2000',
};

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack.close());

// Writes `perTick` messages every 100 ms, each of another user, until end().
class Storm {
  #over = false;
  #ended;

  constructor(room, perTick) {
    this.#ended = this.#write(room, perTick);
  }

  async #write(room, perTick) {
    while (!this.#over) {
      await stack.query(
        `select from sealcast.admit(array_fill($1::uuid, array[$2::int]), array_fill('chat'::text, array[$2::int]),
           array(select gen_random_uuid() from generate_series(1, $2)), array(select gen_random_uuid() from generate_series(1, $2)),
           array_fill('{"content":"!"}'::text, array[$2::int]))`,
        [room, perTick],
      );
      await new Promise((resolve) => setTimeout(resolve, 100)); // the pause between the ticks
    }
  }

  async end() {
    this.#over = true;
    await this.#ended;
  }
}

const updates = ({ frames }) => frames.filter(({ envelope }) => envelope.t === 'sampling_update').map(({ envelope }) => envelope.d);

async function history(url, room, channel) {
  const all = [];
  for (;;) {
    const answer = await request(`${url}/streams/${room}/messages?after=${all.at(-1)?.offset ?? 0}&limit=500&channel=${channel}`);
    const { messages } = JSON.parse(answer.text);
    all.push(...messages);
    if (messages.length < 500) return all;
  }
}

test('a stream is sampled during a storm, also when the leader is killed', async () => {
  const room = await stack.stream();
  const leader = await stack.sidecar(settings);
  const reader = await Subscriber.to(leader.url, room);
  const storm = new Storm(room, 15);
  await until('sampling has begun', () => updates(reader)[0]?.active);
  const { rate } = updates(reader)[0];
  assert.ok(rate >= 5 && rate <= 20, `rate ${rate}`);
  const joiner = await Subscriber.to(leader.url, room);
  await until('a late joiner is ready', () => joiner.ready);
  assert.deepEqual(joiner.retained.map(({ envelope }) => [envelope.t, envelope.d.active]), [['sampling_update', true]], 'a late joiner knows it first');
  joiner.close();

  const successor = await stack.sidecar({ ...settings, SEALCAST_GATE_SOCKET: '' });
  const witness = await Subscriber.to(successor.url, room, { lastEventId: 0 });
  leader.process.kill('SIGKILL');
  await leader.exited;
  await until('the successor continues', async () => /^sealcast_sampled_streams 1$/m.test((await request(`${successor.url}/metrics`)).text));
  assert.equal(updates(witness).filter(({ active }) => !active).length, 0);
  await storm.end();
  await until('sampling has ended', () => updates(witness).at(-1)?.active === false, 30_000);
  witness.close();
  reader.close();

  const [seen, all] = [await history(successor.url, room, 'public'), await history(successor.url, room, 'vip')];
  assert.deepEqual(witness.frames.map(({ offset, prev }) => [offset, prev]), seen.map(({ offset, prev }) => [offset, prev]));
  assert.deepEqual(all.map(({ offset }) => offset), all.map((_, i) => i + 1));
  const stormy = seen.filter(({ envelope }) => envelope.t === 'sampling_update');
  const [from, to] = [stormy[0].offset, stormy.at(-1).offset];
  const shown = seen.filter(({ offset }) => offset > from && offset < to).length;
  assert.ok(shown < (to - from) / 2, `${shown} of ${to - from}`);
  const known = new Set(seen.map(({ offset }) => offset));
  for (const { offset } of reader.frames) assert.ok(known.has(offset), `offset ${offset}`);
  assert.equal(all.filter(({ offset, envelope }) => envelope.t === 'sampling_update' && !known.has(offset)).length, 0);
  assert.match((await request(`${successor.url}/metrics`)).text, /^sealcast_sampled_streams 0$/m);
  assert.ok(successor.log.some((line) => line.includes('"[SAMPLING]"')));
  await successor.stop();
  await successor.stop();
});

test('sampling is off by default, and set_sampling() turns it on and off', async () => {
  const room = await stack.stream();
  const sidecar = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const { url } = sidecar;
  const reader = await Subscriber.to(url, room);
  await stack.query('select sealcast.set_sampling($1, 7)', [room]);
  await until('sampling has begun', () => updates(reader).length === 1);
  assert.deepEqual(updates(reader)[0], { active: true, rate: 7 });
  const sampled = async () => /^sealcast_sampled_streams ([0-9]+)$/m.exec((await request(`${url}/metrics`)).text)[1];
  await until('the stream is in the metric', async () => (await sampled()) === '1');
  await stack.query('select sealcast.set_sampling($1, null)', [room]);
  await until('sampling has ended', () => updates(reader).at(-1).active === false);
  await until('the stream has left the metric', async () => (await sampled()) === '0');
  reader.close();
  await sidecar.stop();
});

test('a stream that another transaction has locked does not hold up the others, and is named in the log', async (t) => {
  const [locked, stormy, other] = [await stack.stream(), await stack.stream(), await stack.stream()];
  const sidecar = await stack.sidecar({ ...settings, SEALCAST_GATE_SOCKET: '' });
  const reader = await Subscriber.to(sidecar.url, other);
  for (const room of [locked, other]) await stack.query('select sealcast.set_sampling($1, 7)', [room]);
  const retained = async () => (await stack.query('select from sealcast.retained_messages where stream_id = $1', [locked])).length;
  await until('the rate is in the state of the stream', async () => (await retained()) === 1);
  await stack.query("update sealcast.sampling set announced_at = now() - interval '1 hour'");
  const holder = await stack.connect();
  t.after(() => holder.end());
  await holder.query('begin');
  for (const room of [locked, stormy]) await holder.query('select sealcast.set_sampling($1, null)', [room]);
  // As retention does. So the rate is due to be sent again.
  await stack.query('delete from sealcast.retained_messages where stream_id = $1', [locked]);
  const storm = new Storm(stormy, 15);
  t.after(() => storm.end());
  for (const room of [locked, stormy]) {
    const named = (line) => line.includes('"another transaction has locked streams; their rates wait for it"') && line.includes(room);
    await until('the log names the stream', () => sidecar.log.some(named));
  }
  await stack.query('select sealcast.set_sampling($1, null)', [other]);
  await until('the rate of another stream changes', () => updates(reader).at(-1).active === false);
  const rows = async (room) => (await stack.query('select from sealcast.sampling where stream_id = $1', [room])).length;
  assert.equal(await rows(stormy), 0);
  await holder.query('commit');
  await until('the stormy stream is sampled', async () => (await rows(stormy)) === 1);
  await until('the velocity decides again', async () => (await rows(locked)) === 0);
  reader.close();
  await storm.end();
  await sidecar.stop();
});

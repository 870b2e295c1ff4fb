// The load on a Supabase project: the sidecar counts deliveries to viewers as Realtime does, and slows down before Realtime
// refuses its requests.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ContractService } from './contract_service.mjs';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { Viewers } from './viewers.mjs';
import { until } from './waiting.mjs';

const VIEWERS = 40;

let stack, supabase, sidecar, room, user;
before(async () => {
  stack = await PrivateStack.create();
  supabase = await ContractService.start('supabase', '--max-events-per-second', '100', '--clock', 'manual');
  sidecar = await stack.sidecar({
    SEALCAST_SUPABASE_URL: supabase.url,
    SEALCAST_SUPABASE_KEY_FILE: supabase.keyFile,
    SEALCAST_SUPABASE_CA_FILE: supabase.certificates,
    SEALCAST_AUDIENCE_WINDOW_MS: '3000',
    SEALCAST_AUDIENCE_UPDATE_MS: '500',
    SEALCAST_AUDIENCE_RATE_PER_ADDRESS: '0',
  });
  room = await stack.stream();
});
after(async () => {
  await Viewers.stopAll();
  await supabase?.close();
  await stack.close();
});

const metric = async (name) => Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec((await request(`${sidecar.url}/metrics`)).text)?.[1]);
const offsets = () => supabase.offsets(`sealcast:${room}`);

test('a broadcast counts once and once more for each viewer, and the metrics name the limit of the project', async () => {
  const viewers = new Viewers(sidecar.url, room, VIEWERS);
  await until('the viewers are counted', async () => {
    const before = await metric('sealcast_supabase_events_total');
    const published = (await offsets()).length;
    assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
    await until('the message is published', async () => (await offsets()).length > published);
    // Below a hundred viewers the count is off by a few at most.
    return (await metric('sealcast_supabase_events_total')) - before >= VIEWERS - 5;
  }, 30_000);
  assert.equal(await metric('sealcast_supabase_events_limit'), 100);
  assert.equal(viewers.refused, 0);
  await viewers.stop();
});

test('near the limit of requests the transport slows down without a refusal, and is fast again when Realtime says so', async () => {
  const published = (await offsets()).length;
  await supabase.command({ do: 'forget' });
  await supabase.faults({ answer: { status: 202, headers: { 'x-rate-limit': '100', 'x-rate-limit-remaining': '9' } } });
  const began = performance.now();
  for (let i = 0; i < 20; i++) assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  await until('three requests', async () => (await supabase.command({ do: 'stats' })).requests >= 3);
  assert.ok(performance.now() - began >= 2000, 'a pause of a second before each further request');
  await supabase.faults(); // as when the average of the last minute has fallen
  await until('the rest is published', async () => (await metric('sealcast_delivery_queued{transport="supabase"}')) === 0);
  const { answers } = await supabase.command({ do: 'stats' });
  assert.deepEqual(Object.keys(answers), ['202']);
  assert.equal(await metric('sealcast_delivery_retries_total{transport="supabase"}'), 0);
  const rest = await offsets();
  assert.deepEqual(rest, Array.from({ length: rest.length }, (_, i) => rest[0] + i), 'in order');
  assert.ok(published > 0 && rest.length >= 10);
});

// What the tests of failovers of Redis have in common.
import assert from 'node:assert/strict';
import { message, request, send } from './http.mjs';
import { until } from './waiting.mjs';

// The check "redis" of /readyz: "ok", or what is wrong.
export const redisCheck = async ({ url }) => (await request(`${url}/readyz`)).json.checks.redis;

export async function untilReady(sidecar) {
  await until('/readyz answers 200', async () => (await request(`${sidecar.url}/readyz`)).status === 200);
}

export async function untilAccepted(stack, sidecar, room, rounds = 20) {
  await until('messages of many users are accepted', async () => {
    const answers = await Promise.all(Array.from({ length: rounds }, () => send(sidecar.url, stack.user(), message(room))));
    return answers.every(({ status }) => status === 200);
  });
}

// Exactly the acknowledged messages of a load are stored, each once.
export async function assertStoredOnce(stack, room, load) {
  const stored = await stack.stored(room);
  assert.equal(new Set(stored).size, stored.length, 'no message is stored twice');
  assert.deepEqual(new Set(stored), new Set(load.acknowledged.keys()));
}

// Returns a function that checks the log since this call: no kind of message about Redis, told by tag and text, was written more often
// than once a second.
export function watchLog(process) {
  const from = process.log.length;
  return () => {
    const times = new Map();
    for (const line of process.log.slice(from)) {
      const { time, tag, message: text } = JSON.parse(line);
      const connection = /^(connected to Redis|Redis is unavailable)/.test(text);
      const kind = connection ? `${tag} connection` : `${tag} ${text}`;
      times.set(kind, [...(times.get(kind) ?? []), Date.parse(time)]);
    }
    for (const [kind, list] of times) {
      const seconds = (list.at(-1) - list[0]) / 1000;
      // Two clients of one tag (streams and events, or a worker's two) write their own lines.
      assert.ok(list.length <= 2 * (seconds + 1), `${list.length} lines of "${kind}" in ${seconds} s\n${process.tail()}`);
    }
  };
}

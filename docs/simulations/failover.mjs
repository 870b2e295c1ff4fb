// Simulates how 100,000 clients reconnect after they lost their region, with and without jitter:
// node docs/simulations/failover.mjs
// Each client uses the client library's own regions and pauses. Its event stream breaks at second 0. It tries its own
// region again, which refuses, and then the surviving region. The seed is fixed. Writes failover.csv and failover.svg.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { backoff } from '../../client/backoff.js';
import { failure, SealcastError } from '../../client/errors.js';
import { Regions } from '../../client/regions.js';
import { chart } from './chart.mjs';
import { numbers } from './numbers.mjs';

const CLIENTS = 100_000;
const RETRY_MS = 2000; // sse.retry_ms: an event stream sends it, and it limits the first pause
const BIN_MS = 100;
const LIMIT = 5000; // connections per second that the surviving region accepts in the limited runs
const RETRY_AFTER_MS = 1000; // Retry-After of the refused connections
const LOST = 'https://lost.example';
const SURVIVING = 'https://surviving.example';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const perSecond = (bins) => bins.map((count) => (count * 1000) / BIN_MS);

const gone = failure('unreachable', 'the region is lost');
const overloaded = new SealcastError('overloaded', 'too many clients', { status: 503, retryAfterMs: RETRY_AFTER_MS });

const chance = numbers(7);
const longest = () => 1; // no jitter: each pause has its maximum length
// backoff() requests two random numbers: first for the pause, then for the time that is added to it.
function addedAlone() {
  let added = true;
  return () => ((added = !added) ? chance() : longest());
}
const ways = {
  'no jitter': { random: longest, pace: { baseMs: RETRY_MS, spreadMs: 0 } },
  '0 to 500 ms added': { random: addedAlone(), pace: { baseMs: RETRY_MS } },
  'full jitter and 0 to 500 ms': { random: chance, pace: { baseMs: RETRY_MS } },
};

// Returns the attempts at the surviving region, and the accepted ones, in bins of BIN_MS until all clients are back.
function simulate({ random, pace }, limit) {
  Math.random = random;
  const due = []; // for each millisecond: the clients that try at that time
  const wait = (client, now, floorMs) => {
    const at = now + Math.round(backoff(client.attempt++, pace, floorMs));
    (due[at] ??= []).push(client);
  };
  for (let i = 0; i < CLIENTS; i++) wait({ attempt: 0, regions: new Regions(LOST, [SURVIVING]) }, 0);
  const attempts = [];
  const taken = [];
  let room = limit; // a token bucket with a capacity of one second
  for (let now = 0, left = CLIENTS; left > 0; now++) {
    const bin = Math.floor(now / BIN_MS);
    attempts[bin] ??= taken[bin] = 0;
    room = Math.min(limit, room + limit / 1000);
    for (const client of due[now] ?? []) {
      const { regions } = client;
      if (regions.current === LOST) {
        regions.failed(LOST, gone);
        wait(client, now);
        continue;
      }
      attempts[bin]++;
      if (room >= 1) {
        room--;
        left--;
        taken[bin]++;
      } else {
        regions.failed(SURVIVING, overloaded);
        wait(client, now, overloaded.retryAfterMs);
      }
    }
    delete due[now];
  }
  return { attempts, taken };
}

function sums(bins, length) {
  let sum = 0;
  return Array.from({ length }, (_, i) => (sum += bins[i] ?? 0));
}

const thousands = (values) => values.map((value) => value / 1000);
const padded = (bins, length) => Array.from({ length }, (_, i) => bins[i] ?? 0);
const peak = (bins) => Math.max(...perSecond(bins)).toLocaleString('en');
const seconds = (bins) => ((bins.length * BIN_MS) / 1000).toFixed(1);

const free = Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, simulate(way, Infinity)]));
const limited = Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, simulate(way, LIMIT)]));

for (const name of Object.keys(ways)) {
  const [all, some] = [free[name], limited[name]];
  const cells = [peak(all.attempts), `${seconds(all.attempts)} s`, peak(some.attempts), `${seconds(some.attempts)} s`];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}

const length = Math.max(...Object.values(free).map(({ attempts }) => attempts.length));
const columns = Object.values(free).map(({ attempts }) => perSecond(padded(attempts, length)));
const rows = columns[0].map((_, i) => [((i * BIN_MS) / 1000).toFixed(1), ...columns.map((column) => column[i])]);
const table = [['second', ...Object.keys(ways)], ...rows];
writeFileSync(here('failover.csv'), `${table.map((row) => row.join(',')).join('\n')}\n`);

const [none, added, both] = Object.keys(ways);
const line = (name, values, style) => ({ name, values, style });
const panel = (title, unit, lines) => ({ title, unit, seconds: BIN_MS / 1000, lines });
const end = Math.max(...Object.values(limited).map(({ taken }) => taken.length));
writeFileSync(
  here('failover.svg'),
  chart({
    title: 'Attempts per second at the surviving region, with and without jitter',
    panels: [
      panel('Without jitter: attempts at the surviving region', '1,000/s', [line(none, thousands(columns[0]), 'a')]),
      panel('With jitter', '1,000/s', [line(added, thousands(columns[1]), 'c'), line(both, thousands(columns[2]), 'b')]),
      panel(`With both, if the region accepts ${LIMIT.toLocaleString('en')} per second`, '1,000/s', [
        line('attempts', thousands(perSecond(limited[both].attempts)), 'b'),
        line('accepted', thousands(perSecond(limited[both].taken)), 'a'),
      ]),
      panel('Clients that have reconnected', '1,000', [
        line(none, thousands(sums(limited[none].taken, end)), 'a'),
        line(both, thousands(sums(limited[both].taken, end)), 'b'),
      ]),
    ],
  }),
);

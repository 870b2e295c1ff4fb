// Simulates the messages that a viewer sees in a chat storm, with and without sampling:
// node docs/simulations/sampling.mjs
// Writes velocity.csv: three typical curves of messages per second, from a fixed seed. Applies the sidecar's own rate
// control (compiled here) and the client library's own choice of users to them. Draws sampling.svg.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { samplingBucket } from '../../client/index.js';
import { chart } from './chart.mjs';
import { numbers } from './numbers.mjs';

const STORM_PER_SECOND = 50;
const CALM_MS = 15_000;
const WINDOW = 3; // seconds over which the sidecar measures the velocity, as in sidecar/src/leader/sampling/rate.h
const SECONDS = 300;
const USERS = 20_000;
const TIER_0 = 0.002; // share of the messages: large gifts, messages of the system
const TIER_1 = 0.03; // share of the messages: from moderators and other users with a role
const STREAM = '0190d000-0000-7000-8000-000000000001';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const random = numbers(5);

// Number of messages in one second from many independent writers, if `mean` is the average.
function poisson(mean) {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count++;
  return count;
}

const burst = (t, at, rise, fall) => (t < at ? 0 : (1 - Math.exp(-(t - at) / rise)) * Math.exp(-(t - at) / fall));

const curves = {
  'a quiet evening with one joke': (t) => 12 + 25 * burst(t, 150, 2, 10),
  'a goal, and another one': (t) => 15 + 900 * burst(t, 60, 1.5, 14) + 500 * burst(t, 190, 1.5, 12),
  'a raid of ten thousand viewers': (t) => 20 + 260 / (1 + Math.exp(-(t - 80) / 6)) - 240 / (1 + Math.exp(-(t - 230) / 12)),
};

function rates(velocities) {
  const directory = mkdtempSync(join(tmpdir(), 'sealcast-simulation-'));
  try {
    const program = join(directory, 'sampling_rates');
    const sources = ['sampling_rates.cpp', '../../sidecar/src/leader/sampling/rate.cpp'].map(here);
    execFileSync('g++', ['-std=c++20', '-O1', '-I', here('../..'), '-I', here('../../sidecar/src'), ...sources, '-o', program]);
    const input = velocities.join('\n');
    return execFileSync(program, [STORM_PER_SECOND, CALM_MS], { input, encoding: 'utf8' }).trim().split('\n').map(Number);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const userIds = Array.from({ length: USERS }, (_, i) => `0190d000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`);
const buckets = await Promise.all(userIds.map((id) => samplingBucket(id, STREAM)));

const velocity = [['second', ...Object.keys(curves)]];
for (let t = 0; t < SECONDS; t++) velocity.push([t, ...Object.values(curves).map((curve) => poisson(curve(t)))]);
writeFileSync(here('velocity.csv'), `${velocity.map((row) => row.join(',')).join('\n')}\n`);

const panels = [];
for (const [i, name] of Object.keys(curves).entries()) {
  const written = velocity.slice(1).map((row) => row[i + 1]);
  const measured = written.map((_, t) => written.slice(Math.max(0, t - WINDOW + 1), t + 1).reduce((a, b) => a + b) / WINDOW);
  const inEffect = rates(measured);
  const seen = written.map((count, t) => {
    const rate = t === 0 ? 100 : inEffect[t - 1]; // set at the end of the previous second
    let shown = 0;
    for (let n = 0; n < count; n++) {
      const tier2 = random() >= TIER_0 + TIER_1;
      const user = Math.floor(USERS * random() ** 2); // some users write much more than others
      if (!tier2 || buckets[user] < rate) shown++;
    }
    return shown;
  });
  panels.push({ title: name, unit: 'msg/s', seconds: 1, lines: [
    { name: 'written', values: written, style: 'a' },
    { name: 'seen by a viewer', values: seen, style: 'b' },
    { name: `threshold, ${STORM_PER_SECOND}/s`, values: written.map(() => STORM_PER_SECOND), style: 'c' },
  ] });
  const stormy = written.map((_, t) => t).filter((t) => t > 0 && inEffect[t - 1] < 100);
  const mean = (values) => (stormy.length === 0 ? 0 : stormy.reduce((sum, t) => sum + values[t], 0) / stormy.length);
  const changes = inEffect.filter((rate, t) => t > 0 && rate !== inEffect[t - 1]).length;
  console.log(`| ${name} | ${stormy.length} s | ${mean(written).toFixed(0)} → ${mean(seen).toFixed(0)} | ${Math.max(...written)} → ${Math.max(...seen)} | ${changes} |`);
}
writeFileSync(here('sampling.svg'), chart({ title: 'Messages per second, written and seen, in three rooms', panels }));

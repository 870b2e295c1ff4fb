// Buckets and tiers of sampling, by the same vectors that test SQL and the sidecar.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isSampled, samplingBucket, tierOf } from '../../client/index.js';

const { buckets, tiers } = JSON.parse(readFileSync(new URL('../vectors/sampling.json', import.meta.url)));

test('buckets are those of the vectors', { skip: globalThis.crypto?.subtle ? false : 'crypto.subtle is missing' }, async () => {
  assert.ok(buckets.length >= 40);
  for (const { user_id, stream_id, bucket } of buckets) {
    assert.equal(await samplingBucket(user_id, stream_id), bucket);
    assert.equal(await samplingBucket(user_id.toUpperCase(), stream_id), bucket);
    assert.deepEqual([await isSampled(user_id, stream_id, bucket + 1), await isSampled(user_id, stream_id, bucket)], [true, false]);
  }
});

test('tiers are those of the vectors', () => {
  assert.ok(tiers.length >= 20);
  for (const { type, s, d, tier } of tiers) assert.equal(tierOf({ s, d }, type), tier, JSON.stringify({ type, s, d }));
});

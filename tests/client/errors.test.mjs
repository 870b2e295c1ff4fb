// How long an error asks to be left alone, and how long a client waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../../client/backoff.js';
import { errorOfResponse } from '../../client/errors.js';

const refusal = (status, headers, body) => errorOfResponse(new Response(body, { status, headers }));

test('Retry-After in seconds, as a date, or in the hint; the header goes first', async () => {
  const after = async (headers, hint) => {
    const body = JSON.stringify({ code: 'overloaded', message: 'm', details: null, hint });
    return (await refusal(503, headers, body)).retryAfterMs;
  };
  assert.equal(await after({ 'retry-after': '3' }, '100 ms'), 3000);
  assert.equal(await after({}, '100 ms'), 100);
  assert.equal(await after({}, 'Retry after a pause.'), null);
  assert.equal(await after({ 'retry-after': 'soon' }, null), null);
  assert.equal(await after({ 'retry-after': new Date(0).toUTCString() }, null), 0);
});

test('an answer that is not the server\'s is an error all the same', async () => {
  for (const body of ['<html>', '', 'null', '"text"']) {
    const error = await refusal(502, {}, body);
    assert.deepEqual([error.status, error.code, error.retryable], [502, 'unexpected_answer', true]);
  }
});

test('waits grow up to the cap, lie anywhere below it, and never before what was asked for', () => {
  const many = (attempt, floor) => Array.from({ length: 2000 }, () => backoff(attempt, {}, floor));
  for (const [attempt, bound] of [[0, 250], [3, 2000], [6, 10_000], [60, 10_000]]) {
    const waits = many(attempt);
    assert.ok(waits.every((ms) => ms >= 0 && ms <= bound + 500));
    assert.ok(Math.min(...waits) < 0.2 * (bound + 500), 'full jitter begins at nothing');
    assert.ok(Math.max(...waits) > 0.8 * (bound + 500));
  }
  assert.ok(many(0, 4000).every((ms) => ms >= 4000 && ms <= 4500));
});

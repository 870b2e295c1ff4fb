// The pause that an error asks for, and the pause that a client makes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../../client/backoff.js';
import { errorOfResponse, SealcastError } from '../../client/errors.js';

const refusal = (status, headers, body) => errorOfResponse(new Response(body, { status, headers }));

test('the pause comes from Retry-After in seconds or as a date, or else from the hint', async () => {
  const after = async (headers, hint) => {
    const body = JSON.stringify({ code: 'overloaded', message: 'm', details: null, hint });
    return (await refusal(503, headers, body)).retryAfterMs;
  };
  assert.equal(await after({ 'retry-after': '3' }, '100 ms'), 3000);
  assert.equal(await after({}, '100 ms'), 100);
  assert.equal(await after({}, '989 ms: Wait, then retry with the same txn_id.'), 989);
  assert.equal(await after({}, '5 ms of silence'), null);
  assert.equal(await after({}, 'Retry after a pause.'), null);
  assert.equal(await after({ 'retry-after': 'soon' }, null), null);
  assert.equal(await after({ 'retry-after': new Date(0).toUTCString() }, null), 0);
});

test('an answer that does not come from the server is an error too', async () => {
  for (const body of ['<html>', '', 'null', '"text"', '{"message":"no Route matched"}', '{"code":5,"message":"m"}']) {
    const error = await refusal(502, {}, body);
    assert.deepEqual([error.status, error.code, error.retryable], [502, 'unexpected_answer', true]);
    assert.equal(error.message, 'the server answered 502, but not from Sealcast; a proxy may have answered');
  }
});

test('pauses grow up to the cap, use the whole range below it, and are never shorter than the server asked for', () => {
  const many = (attempt, floor) => Array.from({ length: 2000 }, () => backoff(attempt, {}, floor));
  for (const [attempt, bound] of [[0, 250], [3, 2000], [6, 10_000], [60, 10_000]]) {
    const waits = many(attempt);
    assert.ok(waits.every((ms) => ms >= 0 && ms <= bound + 500));
    assert.ok(Math.min(...waits) < 0.2 * (bound + 500), 'full jitter begins at zero');
    assert.ok(Math.max(...waits) > 0.8 * (bound + 500));
  }
  assert.ok(many(0, 4000).every((ms) => ms >= 4000 && ms <= 4500));
});

test('a retry may succeed after no answer, 408, 425, 429, 5xx and the 404 of a proxy, and after no other answer', () => {
  const retryable = (status, code = 'x') => new SealcastError(code, 'm', { status }).retryable;
  for (const status of [0, 408, 425, 429, 500, 502, 503, 504]) assert.ok(retryable(status), status);
  for (const status of [200, 400, 401, 403, 404, 405, 409, 413, 415, 421, 422, 431]) assert.ok(!retryable(status), status);
  assert.ok(retryable(404, 'unexpected_answer'));
  for (const status of [200, 401, 403]) assert.ok(!retryable(status, 'unexpected_answer'), status);
});

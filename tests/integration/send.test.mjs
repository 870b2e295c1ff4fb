// One message over HTTP and from SQL: its envelope, its repeats, and the verdict of each refusal.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { canonicalize, checkEnvelope, payloadHash } from './envelope.mjs';
import { message, request, send } from './http.mjs';
import { sharedStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, room;
before(async () => {
  stack = await sharedStack();
  room = await stack.stream();
});
after(() => stack.close());

// The body of a refusal has the members of PostgREST's.
function assertRefused(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.deepEqual(Object.keys(answer.json), ['code', 'message', 'details', 'hint']);
  assert.equal(answer.json.code, code, answer.text);
  assert.ok(answer.json.message);
  return answer.json;
}

// The same refusal from SQL has SQLSTATE PTnnn, and its DETAIL starts with the code.
async function assertRefusedBySql(user, body, status, code) {
  const error = await stack.sendFromSql(user, body).then(() => assert.fail(`admitted, not ${code}`), (e) => e);
  assert.equal(error.code, `PT${status}`, error.message);
  assert.match(error.detail, new RegExp(`^${code}(: |$)`));
  return error;
}

async function assertRefusedByBoth(body, status, code, user = stack.user()) {
  const overHttp = assertRefused(await send(stack.url, user, body), status, code);
  const fromSql = await assertRefusedBySql(user, { ...body, txn_id: randomUUID() }, status, code);
  assert.deepEqual(await stack.query('select from sealcast.messages where sender_id = $1', [user.id]), []);
  return { overHttp, fromSql };
}

test('a message is answered with its envelope and stored once', async () => {
  const user = stack.user();
  const body = message(room, 'hello', { d: { type: 'chat', content: 'hello', n: [1e21, -0, 0.1], 'é': '\u2028€' } });
  const before = Date.now();
  const answer = await send(stack.url, user, body);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.equal(answer.headers['idempotency-replayed'], undefined);
  const envelope = checkEnvelope(answer.text, stack.keyring);
  assert.equal(envelope.stream_id, room);
  assert.equal(envelope.s, user.id);
  assert.equal(envelope.txn_id, body.txn_id);
  assert.equal(envelope.t, 'chat');
  assert.equal(canonicalize(envelope.d), canonicalize(body.d));
  assert.ok(envelope.ts >= before - 1000 && envelope.ts <= Date.now() + 1000, `ts ${envelope.ts}`);
  const rows = await stack.query('select sealcast.envelope(m) as text from sealcast.messages m where txn_id = $1', [body.txn_id]);
  assert.deepEqual(rows, [{ text: answer.text }]);
});

test('send_message() in SQL returns the envelope, and the original for a repeat', async () => {
  const user = stack.user();
  const body = message(room);
  const text = await stack.sendFromSql(user, body);
  const envelope = checkEnvelope(text, stack.keyring);
  assert.deepEqual([envelope.s, envelope.txn_id, envelope.d], [user.id, body.txn_id, body.d]);
  assert.equal(await stack.sendFromSql(user, body), text, 'a repeat returns the original');
  await assertRefusedBySql(user, { ...body, d: { content: 'other' } }, 409, 'txn_id_reused');
  assert.equal((await stack.query('select from sealcast.messages where txn_id = $1', [body.txn_id])).length, 1);
});

test('canonical form and payload hash are the known answers', async () => {
  const document = '{"content": "hello", "type": "chat"}';
  const hash = '17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09';
  assert.equal(payloadHash(JSON.parse(document)), hash);
  const [row] = await stack.query(
    'select sealcast.canonicalize($1::json) as canonical, sealcast.payload_hash($1::json) as hash, sealcast.payload_hash($1::jsonb) as hash_b',
    [document],
  );
  assert.deepEqual(row, { canonical: '{"content":"hello","type":"chat"}', hash, hash_b: hash });
  // The original specification prints the hash of the bare word instead.
  const printed = createHash('sha256').update('hello').digest('hex');
  assert.match(printed, /^2cf24dba.*9824$/);
  assert.notEqual(printed, hash);
});

test('a repeat gets the original envelope and changes nothing', async () => {
  const user = stack.user();
  const body = message(room);
  const first = await send(stack.url, user, body);
  // The same content, written differently.
  const again = await send(stack.url, user, JSON.stringify({ txn_id: body.txn_id.toUpperCase(), d: body.d, t: 'chat', stream_id: room }, null, 2));
  assert.equal(again.status, 200, again.text);
  assert.equal(again.text, first.text);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal(await stack.sendFromSql(user, body), first.text, 'SQL and HTTP share the txn_id');
  assert.equal((await stack.query('select from sealcast.messages where txn_id = $1', [body.txn_id])).length, 1);
  assert.equal((await stack.query('select from sealcast.txn_keys where txn_id = $1', [body.txn_id])).length, 1);
});

test('a repeat returns the original even when its sender is muted now', async () => {
  const user = stack.user();
  const body = message(room);
  const first = await send(stack.url, user, body);
  await stack.query('select sealcast.mute($1, $2)', [room, user.id]);
  const again = await send(stack.url, user, body);
  assert.deepEqual([again.status, again.text], [200, first.text]);
});

test('two users may use the same txn_id', async () => {
  const body = message(room);
  const answers = await Promise.all([send(stack.url, stack.user(), body), send(stack.url, stack.user(), body)]);
  assert.deepEqual(answers.map((a) => [a.status, a.headers['idempotency-replayed']]), [[200, undefined], [200, undefined]]);
});

test('five concurrent copies make one message, and all get its envelope', async () => {
  const user = stack.user();
  const body = message(room);
  const answers = await Promise.all(Array.from({ length: 5 }, () => send(stack.url, user, body)));
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  assert.equal(new Set(answers.map((a) => a.text)).size, 1);
  assert.equal(answers.filter((a) => a.headers['idempotency-replayed'] !== 'true').length, 1);
  assert.equal((await stack.query('select from sealcast.messages where txn_id = $1', [body.txn_id])).length, 1);
});

test('409 txn_id_reused: other content, type or stream under the same txn_id', async () => {
  const other = await stack.stream();
  const user = stack.user();
  const body = message(room);
  assert.equal((await send(stack.url, user, body)).status, 200);
  for (const change of [{ d: { content: 'Hello' } }, { t: 'reaction' }, { stream_id: other }]) {
    assertRefused(await send(stack.url, user, { ...body, ...change }), 409, 'txn_id_reused');
  }
  assert.equal((await stack.query('select from sealcast.messages where txn_id = $1', [body.txn_id])).length, 1);
});

test('the server sets user_role, and a repeat is still recognised', async () => {
  const [moderator, guest] = [stack.user(), stack.user()];
  await stack.grant(room, moderator, 'moderator');
  for (const [user, role] of [[moderator, 'moderator'], [guest, undefined]]) {
    const body = message(room, '', { d: { content: 'x', user_role: 'owner' } });
    const answer = await send(stack.url, user, body);
    assert.equal(checkEnvelope(answer.text, stack.keyring).d.user_role, role);
    const again = await send(stack.url, user, body);
    assert.deepEqual([again.text, again.headers['idempotency-replayed']], [answer.text, 'true']);
  }
});

test('403 user_muted and user_banned, in one stream and everywhere, with details until', async () => {
  const until = '2099-01-02T03:04:05.678Z';
  for (const [action, code] of [['mute', 'user_muted'], ['ban', 'user_banned']]) {
    for (const where of [room, null]) {
      const user = stack.user();
      await stack.query(`select sealcast.${action}($1, $2, $3, 'a reason')`, [where, user.id, until]);
      const { overHttp, fromSql } = await assertRefusedByBoth(message(room), 403, code, user);
      assert.equal(overHttp.details, `until ${until}`);
      assert.equal(fromSql.detail, `${code}: until ${until}`);
      assert.match(fromSql.hint, /^\d+ ms/);
      await stack.query(`select sealcast.un${action}($1, $2)`, [where, user.id]);
      assert.equal((await send(stack.url, user, message(room))).status, 200);
    }
  }
});

test('403 with an end has Retry-After', async () => {
  const user = stack.user();
  await stack.query("select sealcast.mute($1, $2, clock_timestamp() + interval '60 s')", [room, user.id]);
  const answer = await send(stack.url, user, message(room));
  assertRefused(answer, 403, 'user_muted');
  const seconds = Number(answer.headers['retry-after']);
  assert.ok(seconds > 50 && seconds <= 60, `Retry-After: ${answer.headers['retry-after']}`);
});

test('a mute that has ended is ignored', async () => {
  const user = stack.user();
  await stack.query("insert into sealcast.restrictions (user_id, kind, until) values ($1, 'mute', now() - interval '1 s')", [user.id]);
  assert.equal((await send(stack.url, user, message(room))).status, 200);
});

test('403 role_required for a type of moderators or of the system', async () => {
  await assertRefusedByBoth(message(room, 'x', { t: 'announcement' }), 403, 'role_required');
  for (const t of ['transport_migrate', 'sampling_update', 'viewer_count_update']) {
    const owner = stack.user();
    await stack.grant(room, owner, 'owner');
    await assertRefusedByBoth(message(room, 'x', { t }), 403, 'role_required', owner);
  }
  const moderator = stack.user();
  await stack.grant(room, moderator, 'moderator');
  assert.equal((await send(stack.url, moderator, message(room, 'x', { t: 'announcement' }))).status, 200);
});

test('403 role_required for a private stream without a role in it', async () => {
  const cave = await stack.stream({ visibility: 'private' });
  const [member, banned, former] = [stack.user(), stack.user(), stack.user()];
  await assertRefusedByBoth(message(cave), 403, 'role_required');
  assert.deepEqual(await stack.stored(cave), []);
  for (const user of [member, banned, former]) await stack.grant(cave, user, 'subscriber');
  assert.equal((await send(stack.url, member, message(cave))).status, 200);
  await stack.query('select sealcast.ban($1, $2)', [cave, banned.id]);
  await assertRefusedByBoth(message(cave), 403, 'user_banned', banned);
  await stack.query('select sealcast.set_role($1, $2, null)', [cave, former.id]);
  await assertRefusedByBoth(message(cave), 403, 'role_required', former);
});

test('403 stream_closed for a closed stream', async () => {
  const closed = await stack.stream();
  await stack.query('update sealcast.streams set closed_at = now() where stream_id = $1', [closed]);
  const { overHttp } = await assertRefusedByBoth(message(closed), 403, 'stream_closed');
  assert.match(overHttp.details, /^since \d{4}-/);
});

test('404 stream_not_found for an unknown stream', async () => {
  await assertRefusedByBoth(message(randomUUID()), 404, 'stream_not_found');
});

test('422 unknown_type for an unknown type', async () => {
  await assertRefusedByBoth(message(room, 'x', { t: 'nothing_such' }), 422, 'unknown_type');
});

test('413 payload_too_large one byte above the limit', async () => {
  const sized = (bytes) => message(room, 'x'.repeat(bytes - '{"content":""}'.length));
  const answer = await send(stack.url, stack.user(), sized(16384));
  assert.equal(answer.status, 200, answer.text);
  checkEnvelope(answer.text, stack.keyring);
  await assertRefusedByBoth(sized(16385), 413, 'payload_too_large');
  // The limit is for the canonical form.
  const padded = JSON.stringify(sized(16384)).replace('"content":', `"content":${' '.repeat(1000)}`);
  assert.equal((await send(stack.url, stack.user(), padded)).status, 200);
});

test('429 rate_limited for the sixth message in one second, whose txn_id stays usable', async () => {
  const user = stack.user();
  let messages, answers, began;
  // All six messages must fall into one window of one second. On a slow machine the test tries again.
  await until('six messages within one window', async () => {
    began = Date.now();
    messages = Array.from({ length: 6 }, () => message(room));
    answers = [];
    for (const body of messages) answers.push(await send(stack.url, user, body));
    if (Date.now() - began < 900) return true;
    await new Promise((windowEnds) => setTimeout(windowEnds, 1100));
  });
  assert.deepEqual(answers.slice(0, 5).map((a) => a.status), [200, 200, 200, 200, 200]);
  const sixth = answers[5];
  assertRefused(sixth, 429, 'rate_limited');
  assert.equal(sixth.headers['retry-after'], '1');
  assert.match(sixth.headers['ratelimit-policy'], /q=5\b.*w=1\b/);
  assert.match(sixth.headers.ratelimit, /r=0\b/);
  assert.deepEqual(await stack.query('select from sealcast.txn_keys where txn_id = $1', [messages[5].txn_id]), []);
  const retried = await until('the window ends', async () => {
    const answer = await send(stack.url, user, messages[5]);
    return answer.status !== 429 && answer;
  });
  assert.equal(retried.status, 200, retried.text);
  assert.equal(retried.headers['idempotency-replayed'], undefined);
  const elapsed = Date.now() - began;
  assert.ok(elapsed >= 950, `accepted again after ${elapsed} ms`);
});

test('429 from SQL counts together with HTTP, and each type has its own count', async () => {
  const user = stack.user();
  let error;
  await until('six messages within one window', async () => {
    const began = Date.now();
    for (let i = 0; i < 5; i++) assert.notEqual((await send(stack.url, user, message(room))).status, 503);
    error = await stack.sendFromSql(user, message(room)).then(() => null, (e) => e);
    return error && Date.now() - began < 900;
  });
  assert.equal(error.code, 'PT429');
  assert.match(error.detail, /^rate_limited/);
  const [, wait] = error.hint.match(/^(\d+) ms/);
  assert.ok(Number(wait) > 0 && Number(wait) <= 1000, error.hint);
  assert.equal((await send(stack.url, user, message(room, 'x', { t: 'reaction' }))).status, 200);
});

test('429 in a request of PostgREST has the code and the headers of the HTTP API', async () => {
  const request = { 'request.method': 'POST', 'request.path': '/rpc/send_message' };
  const user = stack.user();
  let overHttp, error;
  await until('seven messages within one window', async () => {
    const began = Date.now();
    for (let i = 0; i < 6; i++) overHttp = await send(stack.url, user, message(room));
    error = await stack.sendFromSql(user, message(room), request).then(() => null, (e) => e);
    return error && Date.now() - began < 900;
  });
  assertRefused(overHttp, 429, 'rate_limited');
  assert.equal(error.code, 'PGRST');
  const body = JSON.parse(error.message);
  assert.deepEqual(Object.keys(body), ['code', 'message', 'details', 'hint']);
  assert.equal(body.code, 'rate_limited');
  assert.match(body.hint, /^\d{1,4} ms: /);
  const { status, headers } = JSON.parse(error.detail);
  assert.equal(status, 429);
  const names = ['RateLimit-Policy', 'RateLimit', 'Retry-After'];
  assert.deepEqual(headers, Object.fromEntries(names.map((name) => [name, overHttp.headers[name.toLowerCase()]])));
});

test('a read-only transaction is refused before the gate, so it spends neither the rate nor the txn_id', async (t) => {
  const client = await stack.connect();
  t.after(() => client.end());
  const sendReadOnly = async (user, { stream_id, t, d, txn_id }) => {
    await client.query('begin read only; set local role sealcast_user');
    await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(user.claims)]);
    const sent = client.query('select sealcast.send_message($1, $2, $3, $4)', [stream_id, t, JSON.stringify(d), txn_id]);
    await assert.rejects(sent, { code: '25006', message: /sealcast\.send_message\(\) in a read-only transaction/ });
    await client.query('rollback');
  };
  // The gate spends both in one step, and the next answer shows the rest of the rate.
  await until('the attempts and the message within one window', async () => {
    const began = Date.now();
    const user = stack.user();
    const body = message(room);
    for (let i = 0; i < 3; i++) await sendReadOnly(user, body);
    const answer = await send(stack.url, user, body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.ratelimit, '"chat";r=4;t=1');
    return Date.now() - began < 900;
  });
});

test('400 invalid_json for JSON that cannot be signed', async () => {
  const good = JSON.stringify(message(room));
  const bodies = {
    empty: '',
    'cut off': good.slice(0, -1),
    'trailing text': `${good}x`,
    'two documents': good + good,
    'single quotes': good.replaceAll('"', "'"),
    'a byte order mark': `\ufeff${good}`,
    'invalid UTF-8': Buffer.concat([Buffer.from(good.slice(0, -5)), Buffer.from([0xff]), Buffer.from(good.slice(-5))]),
    'a lone surrogate in d': good.replace('hello', '\\ud800'),
    'a duplicate key in d': good.replace('"content"', '"content":1,"content"'),
    'a number beyond a double in d': good.replace('"hello"', '1e400'),
    'a number that a double does not hold in d': good.replace('"hello"', '9007199254740993'),
    'd nested too deep': good.replace('"hello"', '['.repeat(200) + ']'.repeat(200)),
    'a million brackets': '['.repeat(1_000_000),
  };
  for (const [what, body] of Object.entries(bodies)) {
    const answer = await send(stack.url, stack.user(), body);
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assertRefused(answer, 400, 'invalid_json');
  }
  for (const d of ['{"a":1,"a":2}', '9007199254740993', '"\\ud800"']) {
    await assertRefusedBySql(stack.user(), message(room, '', { d }), 400, 'invalid_json');
  }
});

test('NUL in d is sealed unchanged or refused', async () => {
  const answer = await send(stack.url, stack.user(), message(room, 'a\u0000b'));
  if (answer.status === 200) assert.equal(checkEnvelope(answer.text, stack.keyring).d.content, 'a\u0000b');
  else assertRefused(answer, 400, 'invalid_json');
});

test('400 invalid_request names the member', async () => {
  const wrong = {
    stream_id: [undefined, null, 1, 'room', `${room}0`],
    txn_id: [undefined, null, 7, 'x', {}],
    t: [undefined, null, 3, ''],
    d: [undefined],
  };
  for (const [member, values] of Object.entries(wrong)) {
    for (const value of values) {
      const answer = await send(stack.url, stack.user(), { ...message(room), [member]: value });
      const what = `${member}: ${JSON.stringify(value)} → ${answer.text}`;
      assert.equal(answer.status, 400, what);
      const { message: text, details } = assertRefused(answer, 400, 'invalid_request');
      assert.match(`${text} ${details}`, new RegExp(`\\b${member}\\b`), what);
    }
  }
  for (const body of ['null', '[]', '"x"', '1']) assertRefused(await send(stack.url, stack.user(), body), 400, 'invalid_request');
  const twice = JSON.stringify(message(room)).replace('"t":"chat"', '"t":"chat","t":"reaction"');
  assert.equal((await send(stack.url, stack.user(), twice)).status, 400);
  await assertRefusedBySql(stack.user(), message(null), 400, 'invalid_request');
});

test('401 for a missing, forged or expired session', async () => {
  const user = stack.user();
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [head, claims, signature] = user.token().split('.');
  const forged = {
    'no token': undefined,
    'no scheme': user.token(),
    'another scheme': `Basic ${user.token()}`,
    'an empty token': 'Bearer ',
    'another secret': `Bearer ${user.token({}, { secret: 'x'.repeat(64) })}`,
    'alg none': `Bearer ${part({ alg: 'none' })}.${claims}.`,
    'alg none with a signature': `Bearer ${user.token({}, { header: { alg: 'none' } })}`,
    'alg RS256 over the HMAC': `Bearer ${user.token({}, { header: { alg: 'RS256' } })}`,
    'alg HS512 over HS256': `Bearer ${user.token({}, { header: { alg: 'HS512' } })}`,
    'an unknown crit': `Bearer ${user.token({}, { header: { alg: 'HS256', crit: ['x'], x: 1 } })}`,
    'a key of its own': `Bearer ${user.token({}, { header: { alg: 'HS256', jwk: { kty: 'oct', k: 'eA' } } , secret: 'x' })}`,
    'claims exchanged': `Bearer ${head}.${part({ ...user.claims, sub: randomUUID() })}.${signature}`,
    'a cut signature': `Bearer ${head}.${claims}.${signature.slice(0, -2)}`,
    'four parts': `Bearer ${head}.${claims}.${signature}.${signature}`,
    'no sub': `Bearer ${user.token({ sub: undefined })}`,
    'sub no UUID': `Bearer ${user.token({ sub: 'root' })}`,
    'the nil sub': `Bearer ${user.token({ sub: '00000000-0000-0000-0000-000000000000' })}`,
    'not before tomorrow': `Bearer ${user.token({ nbf: now + 86400 })}`,
    'exp no number': `Bearer ${user.token({ exp: 'never' })}`,
  };
  for (const [what, authorization] of Object.entries(forged)) {
    const answer = await request(`${stack.url}/rpc/send_message`, {
      method: 'POST',
      headers: authorization === undefined ? {} : { authorization },
      body: message(room),
    });
    assert.equal(answer.status, 401, `${what}: ${answer.text}`);
    assertRefused(answer, 401, 'unauthenticated');
    assert.match(answer.headers['www-authenticate'], /^Bearer/, what);
  }
  const expired = await send(stack.url, { headers: { authorization: `Bearer ${user.token({ exp: now - 3600 })}` } }, message(room));
  assertRefused(expired, 401, 'token_expired');
  assert.deepEqual(await stack.query('select from sealcast.messages where sender_id = $1', [user.id]), []);

  await assertRefusedBySql({ claims: {} }, message(room), 401, 'unauthenticated');
  await assertRefusedBySql({ claims: { sub: '00000000-0000-0000-0000-000000000000' } }, message(room), 401, 'unauthenticated');
  await assertRefusedBySql({ claims: { sub: user.id, exp: now - 1 } }, message(room), 401, 'token_expired');
});

test('a token is refused after it has expired, also when it was cached', async () => {
  const user = stack.user();
  const headers = { authorization: `Bearer ${user.token({ exp: Math.floor(Date.now() / 1000) + 2 })}` };
  assert.equal((await send(stack.url, { headers }, message(room))).status, 200);
  const answer = await until('the token expires', async () => {
    const tried = await send(stack.url, { headers }, message(room));
    return tried.status === 401 && tried;
  }, 70_000);
  assertRefused(answer, 401, 'token_expired');
});

test('400 invalid_json for U+0000 in the payload names its path, over HTTP and SQL', async () => {
  const body = message(room, { list: [1, 'a\u0000b'] });
  const { details: problem } = await assertRefused(await send(stack.url, stack.user(), body), 400, 'invalid_json');
  assert.match(problem, /\$\["content"\]\["list"\]\[1\]: U\+0000 cannot be stored/);
  await assertRefusedBySql(stack.user(), message(room, 'a\u0000b'), 400, 'invalid_json');
});

test('POST /rpc/verify tells genuine, changed and malformed envelopes apart', async () => {
  const { text } = await send(stack.url, stack.user(), message(room));
  const envelope = JSON.parse(text);
  const flipped = envelope.sig.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  const cases = [
    [text, 'ok'],
    [JSON.stringify(envelope, null, 1), 'ok'],
    [{ ...envelope, d: { content: 'forged' } }, 'bad_signature'],
    [{ ...envelope, ts: envelope.ts + 1 }, 'bad_signature'],
    [{ ...envelope, sig: flipped }, 'bad_signature'],
    [{ ...envelope, s: randomUUID() }, 'bad_signature'],
    [{ ...envelope, kid: 'k999' }, 'unknown_kid'],
    [{ ...envelope, extra: 1 }, 'malformed'],
    [{ ...envelope, sig: undefined }, 'malformed'],
    [{ ...envelope, v: 2 }, 'malformed'],
    [text.replace('"hello"', '9007199254740993'), 'malformed'],
    ['[]', 'malformed'],
    ['null', 'malformed'],
  ];
  for (const [body, result] of cases) {
    const answer = await request(`${stack.url}/rpc/verify`, { method: 'POST', body });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, { result }, JSON.stringify(body));
  }
  assertRefused(await request(`${stack.url}/rpc/verify`, { method: 'POST', body: '{' }), 400, 'invalid_json');
});

test('an unknown path gets 404, a wrong method 405', async () => {
  assert.equal((await request(`${stack.url}/rpc/nothing`, { method: 'POST', body: {} })).status, 404);
  const answer = await request(`${stack.url}/rpc/send_message`);
  assert.equal(answer.status, 405);
  assert.match(answer.headers.allow, /POST/);
});

test('application_name tells the purpose of each connection to Postgres', async () => {
  const names = await stack.query("select distinct application_name as name from pg_stat_activity where usename = 'sealcast_service'");
  for (const purpose of ['admission 1', 'admission 2', 'admission of repeats', 'admission one by one', 'relay']) {
    assert.ok(names.some(({ name }) => name === `sealcastd, ${purpose}`), `${purpose}: ${names.map(({ name }) => name)}`);
  }
});

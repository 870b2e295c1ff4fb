// A simple alternative to sealcastd on Node.js: POST /rpc/send_message with Redis for rate and replay, and one INSERT
// with pg_notify per message. Environment: PORT, REDIS_URL, PGHOST …, PG_POOL, SESSION_SECRET_FILE, KEY_FILE (its name
// is the kid), PROCESSES.
import cluster from 'node:cluster';
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import canonicalize from 'canonicalize';
import { Redis } from 'ioredis';
import jwt from 'jsonwebtoken';
import pg from 'pg';

const kid = basename(process.env.KEY_FILE);
const key = readFileSync(process.env.KEY_FILE, 'utf8').replace(/\n$/, '');
const sessionSecret = readFileSync(process.env.SESSION_SECRET_FILE, 'utf8');
const processes = Number(process.env.PROCESSES ?? 1);
const rate = 1000; // the same as Sealcast's message type `bench`
const maxBytes = 16384;

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

// Caches verified sessions until they expire, as sealcastd does.
const sessions = new Map();
function senderOf(header) {
  const token = header?.startsWith('Bearer ') ? header.slice(7) : '';
  let session = sessions.get(token);
  if (session === undefined) {
    try {
      session = jwt.verify(token, sessionSecret, { algorithms: ['HS256'] });
    } catch {
      throw new Refusal(401, 'unauthenticated', 'no session');
    }
    if (sessions.size >= 100_000) sessions.clear();
    sessions.set(token, session);
  }
  if (session.exp * 1000 <= Date.now()) throw new Refusal(401, 'token_expired', 'the session has expired');
  return session.sub;
}

// Automatic pipelining: the commands of all requests in one iteration of the event loop share one write.
const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
async function passGate(sender, t, txnId) {
  const rateKey = `peer:{${sender}}:rate:${t}`;
  const [count] = await Promise.all([
    redis.incr(rateKey),
    redis.pexpire(rateKey, 1000, 'NX'),
    redis.set(`peer:{${sender}}:txn:${txnId}`, 1, 'PX', 900_000, 'NX'),
  ]);
  if (count > rate) throw new Refusal(429, 'rate_limited', 'too many messages');
  return count;
}

const pool = new pg.Pool({ max: Math.ceil(Number(process.env.PG_POOL ?? 8) / processes) });
const insert = {
  name: 'insert',
  text: `with inserted as (
    insert into peer_node.messages (sender_id, txn_id, stream_id, t, kid, ts, d, sig)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id)
    select pg_notify('peer_messages', id::text) from inserted`,
};
const select = {
  name: 'select',
  text: 'select stream_id, t, kid, ts, d, sig from peer_node.messages where sender_id = $1 and txn_id = $2',
};

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (text) => createHmac('sha256', key).update(text).digest('hex');
const render = (m) =>
  `{"v":1,"kid":"${m.kid}","t":"${m.t}","stream_id":"${m.stream_id}","s":"${m.sender}","ts":${m.ts},` +
  `"txn_id":"${m.txn_id}","d":${m.d},"sig":"${m.sig}"}`;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const type = /^[a-z][a-z0-9_.-]{0,63}$/;
function parse(body) {
  let request;
  try {
    request = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'invalid_json', 'the body is not JSON');
  }
  const { stream_id, t, d, txn_id } = request;
  if (!uuid.test(stream_id) || !type.test(t) || !uuid.test(txn_id) || d === null || typeof d !== 'object') {
    throw new Refusal(400, 'invalid_request', 'send stream_id, t, d and txn_id');
  }
  return { stream_id: stream_id.toLowerCase(), t, d, txn_id: txn_id.toLowerCase() };
}

async function sendMessage(headers, body) {
  const sender = senderOf(headers.authorization);
  const request = parse(body);
  const count = await passGate(sender, request.t, request.txn_id);
  const d = canonicalize(request.d);
  if (d.length > maxBytes) throw new Refusal(413, 'payload_too_large', 'd is too large');
  const message = { ...request, sender, kid, ts: Date.now(), d };
  message.sig = hmac(
    `v=1|t=${message.t}|stream_id=${message.stream_id}|sender_id=${sender}|txn_id=${message.txn_id}` +
      `|ts=${message.ts}|payload_hash=${sha256(d)}`,
  );
  const values = [sender, message.txn_id, message.stream_id, message.t, kid, message.ts, d, message.sig];
  const { t } = message;
  const { rowCount } = await pool.query({ ...insert, values });
  const limits = { 'RateLimit-Policy': `"${t}";q=${rate};w=1`, RateLimit: `"${t}";r=${rate - count};t=1` };
  if (rowCount === 1) return { headers: limits, text: render(message) };

  const [original] = (await pool.query({ ...select, values: values.slice(0, 2) })).rows;
  if (original.d !== d || original.t !== message.t || original.stream_id !== message.stream_id) {
    throw new Refusal(409, 'txn_id_reused', 'this txn_id was used for another message');
  }
  return { headers: { ...limits, 'Idempotency-Replayed': 'true' }, text: render({ ...message, ...original }) };
}

function answer(response, status, headers, text) {
  const length = Buffer.byteLength(text);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': length, ...headers });
  response.end(text);
}

function serve(request, response) {
  if (request.method !== 'POST' || request.url !== '/rpc/send_message') {
    request.resume();
    return answer(response, 404, {}, '{"code":"not_found"}');
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    try {
      const { headers, text } = await sendMessage(request.headers, body);
      answer(response, 200, headers, text);
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error.message);
      const { status = 503, code = 'unavailable', message } = error instanceof Refusal ? error : {};
      answer(response, status, {}, JSON.stringify({ code, message, details: null, hint: null }));
    }
  });
}

// Without a listener pg_notify would cost less than in real use.
if (cluster.isPrimary) await import('./listen.mjs');
if (cluster.isPrimary && processes > 1) {
  redis.disconnect();
  for (let i = 0; i < processes; i++) cluster.fork();
  cluster.on('exit', (worker, code) => process.exit(code ?? 1));
} else {
  createServer({ keepAliveTimeout: 60_000 }, serve).listen(Number(process.env.PORT), '127.0.0.1');
}

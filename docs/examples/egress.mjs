// Receives the switching webhook. Starts an HLS egress of the stream's LiveKit room when the stream warms up, and stops
// it when the stream has cooled down. Needs Node.js 18 or later and no dependencies; with the packages standardwebhooks
// and livekit-server-sdk, isSigned(), token() and livekit() are not needed.
//
//   WEBHOOK_SECRET=whsec_… LIVEKIT_URL=https://… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… PORT=8090 node egress.mjs
//
// WEBHOOK_SECRET is the secret whsec_…, or the public key whpk_… of an Ed25519 secret. Players load
// {stream_id}/live.m3u8 from where the egress service stores its files (`storage` in its config). To store them
// elsewhere, set HLS_S3 to a whole S3Upload, for example {"bucket":"…","access_key":"…","secret":"…","region":"…"}, for
// MinIO and R2 also "endpoint" and "force_path_style": the request's storage replaces that of the egress service, with
// its credentials and endpoint. LiveKit Cloud needs HLS_S3.
//
// Calls are signed as described by Standard Webhooks (https://www.standardwebhooks.com). A call may arrive more than
// once. Therefore each step first lists the existing egresses.
// LiveKit: https://docs.livekit.io/reference/other/egress/api/
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { createServer } from 'node:http';

const { WEBHOOK_SECRET, LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, HLS_S3, PORT = '0' } = process.env;
const TOLERANCE_S = 300;
const LARGEST_BODY = 16 * 1024;
const [, kind, key] = /^(whsec|whpk)_(.+)$/.exec(WEBHOOK_SECRET);
const secret = Buffer.from(key, 'base64');
const publicKey = kind === 'whpk' && createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: secret.toString('base64url') }, format: 'jwk' });

function isSigned({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' }, body) {
  if (!id || !(Math.abs(Date.now() / 1000 - Number(timestamp)) < TOLERANCE_S)) return false;
  const content = Buffer.from(`${id}.${timestamp}.${body}`);
  // While a secret is being replaced, there is a signature for the old and one for the new secret.
  return signatures.split(' ').some((signature) => {
    const [version, text = ''] = signature.split(',');
    const given = Buffer.from(text, 'base64');
    if (publicKey) return version === 'v1a' && verify(null, content, publicKey, given);
    const wanted = createHmac('sha256', secret).update(content).digest();
    return version === 'v1' && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token() {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: LIVEKIT_API_KEY, nbf: now - 10, exp: now + 60, video: { roomRecord: true } };
  const content = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`;
  return `${content}.${createHmac('sha256', LIVEKIT_API_SECRET).update(content).digest('base64url')}`;
}

async function livekit(method, request) {
  const answer = await fetch(`${LIVEKIT_URL}/twirp/livekit.Egress/${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token()}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(`LiveKit answered ${answer.status} to ${method}: ${text}`), { status: answer.status });
  return JSON.parse(text);
}

// The egresses of the room that record, or will record. A list of active egresses also has those that are ending: they no
// longer record, upload what they have, and cannot be used again.
async function recording(room) {
  const { items = [] } = await livekit('ListEgress', { room_name: room, active: true });
  return items.filter(({ status = 'EGRESS_STARTING' }) => status === 'EGRESS_STARTING' || status === 'EGRESS_ACTIVE');
}

async function start(room) {
  if ((await recording(room)).length > 0) return;
  await livekit('StartRoomCompositeEgress', {
    room_name: room,
    layout: 'speaker',
    // {time} keeps the files of this egress apart from those of one that is still ending.
    segment_outputs: [
      { filename_prefix: `${room}/{time}`, playlist_name: '{time}.m3u8', live_playlist_name: 'live.m3u8', segment_duration: 4,
        ...(HLS_S3 && { s3: JSON.parse(HLS_S3) }) },
    ],
  });
}

async function stop(room) {
  for (const { egress_id: egressId } of await recording(room)) {
    await livekit('StopEgress', { egress_id: egressId }).catch((error) => {
      if (error.status !== 412) throw error; // 412: it has ended by itself
    });
  }
}

const handlers = { 'stream.warm_up': start, 'stream.cool_down': stop };
let last = Promise.resolve(); // one step at a time: a repeated call must find the egress that the first one starts

async function take(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > LARGEST_BODY) return 413;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks).toString();
  if (!isSigned(request.headers, body)) return 401;
  const { type, data } = JSON.parse(body);
  const step = last.then(() => handlers[type]?.(data.stream_id));
  last = step.catch(() => {});
  await step;
  return 204;
}

const server = createServer(async (request, response) => {
  // Sealcast repeats the call after every answer that is not 2xx.
  const status = await take(request).catch((error) => (console.error(error.message), 500));
  response.writeHead(status).end();
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

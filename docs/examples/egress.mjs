// Receives the switching webhook. Starts an HLS egress of the stream's LiveKit room when the stream warms up, and stops
// it when the stream has cooled down. Needs Node.js 18 or later and no dependencies.
//
//   WEBHOOK_SECRET=whsec_… LIVEKIT_URL=https://… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… HLS_BUCKET=… PORT=8090 \
//     node egress.mjs
//
// Calls are signed as described by Standard Webhooks (https://www.standardwebhooks.com). A call may arrive more than
// once. Therefore each step first lists the existing egresses.
// LiveKit: https://docs.livekit.io/reference/other/egress/api/
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { WEBHOOK_SECRET, LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, HLS_BUCKET, PORT = '0' } = process.env;
const TOLERANCE_S = 300;
const LARGEST_BODY = 16 * 1024;
const secret = Buffer.from(WEBHOOK_SECRET.replace(/^whsec_/, ''), 'base64');

function isSigned({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' }, body) {
  if (!id || !(Math.abs(Date.now() / 1000 - Number(timestamp)) < TOLERANCE_S)) return false;
  const wanted = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest();
  return signatures.split(' ').some((signature) => {
    const [version, text = ''] = signature.split(',');
    const given = Buffer.from(text, 'base64');
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
  });
  if (!answer.ok) throw new Error(`LiveKit answered ${answer.status} to ${method}: ${await answer.text()}`);
  return answer.json();
}

async function start(room) {
  const { items = [] } = await livekit('ListEgress', { room_name: room, active: true });
  if (items.length > 0) return;
  await livekit('StartRoomCompositeEgress', {
    room_name: room,
    layout: 'speaker',
    segment_outputs: [
      { filename_prefix: `${room}/`, playlist_name: 'index.m3u8', live_playlist_name: 'live.m3u8', segment_duration: 4,
        s3: { bucket: HLS_BUCKET } },
    ],
  });
}

async function stop(room) {
  const { items = [] } = await livekit('ListEgress', { room_name: room, active: true });
  for (const { egress_id: egressId } of items) await livekit('StopEgress', { egress_id: egressId });
}

const handlers = { 'stream.warm_up': start, 'stream.cool_down': stop };

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
  await handlers[type]?.(data.stream_id);
  return 204;
}

const server = createServer(async (request, response) => {
  // Sealcast repeats the call after every answer that is not 2xx.
  const status = await take(request).catch((error) => (console.error(error.message), 500));
  response.writeHead(status).end();
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

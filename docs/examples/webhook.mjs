// Receives the events of Sealcast (webhooks.url) and prints one line per event. Needs Node.js 18 or later and no
// dependencies; with the package standardwebhooks, isSigned() is not needed.
//
//   WEBHOOK_SECRET=whsec_… PORT=8091 node webhook.mjs
//
// A real backend keeps the ids in its database, in the transaction that applies the event. An event may arrive more than
// once, also after a restart of the backend.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { WEBHOOK_SECRET, PORT = '0' } = process.env;
const TOLERANCE_S = 300;
const LARGEST_BODY = 256 * 1024;
const secret = Buffer.from(WEBHOOK_SECRET.replace(/^whsec_/, ''), 'base64');
const seen = new Set();

function isSigned({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' }, body) {
  if (!id || !(Math.abs(Date.now() / 1000 - Number(timestamp)) < TOLERANCE_S)) return false;
  const wanted = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is being replaced, there is a signature for the old and one for the new secret.
  return signatures.split(' ').some((signature) => {
    const [version, text = ''] = signature.split(',');
    const given = Buffer.from(text, 'base64');
    return version === 'v1' && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

async function take(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > LARGEST_BODY) return 413;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (!isSigned(request.headers, body)) return 401;
  const id = request.headers['webhook-id'];
  if (seen.has(id)) return 204;
  const { type, timestamp, data } = JSON.parse(body);
  console.log(timestamp, type, JSON.stringify(data));
  seen.add(id);
  return 204;
}

const server = createServer(async (request, response) => {
  // Sealcast repeats the call after every answer that is not 2xx.
  const status = await take(request).catch((error) => (console.error(error.message), 500));
  response.writeHead(status).end();
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

// A local HTTP server whose answers the test chooses, for answers that no sidecar gives.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { closeAtEnd } from './close_at_end.mjs';

export const JSON_TYPE = { 'content-type': 'application/json' };
export const EVENTS_TYPE = { 'content-type': 'text/event-stream' };

// answer(request, response, body) is called for each request. Returns {url, requests}; a request is {method, url, body, at}.
export async function serveAnswers(answer) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    requests.push({ method: request.method, url: request.url, body, at: Date.now() });
    answer(request, response, body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  closeAtEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

// Answers as a sidecar does: the envelope of a send_message request.
export function seal(body) {
  const { stream_id, t, d, txn_id } = JSON.parse(body);
  return { v: 1, kid: 'k1', t, stream_id, s: randomUUID(), ts: Date.now(), txn_id, d, sig: '0'.repeat(64) };
}

export const sendJson = (response, value, status = 200, headers = {}) =>
  response.writeHead(status, { ...JSON_TYPE, ...headers }).end(JSON.stringify(value));

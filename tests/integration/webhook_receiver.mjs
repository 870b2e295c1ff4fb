// A receiver of webhooks: keeps each call, and answers as the test says. It can verify the calls with the package
// standardwebhooks, as receivers do.
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { Webhook } from 'standardwebhooks';
import { until } from './waiting.mjs';

export const hmacSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

export class Receiver {
  calls = [];
  secret; // if set, a call without a valid signature gets 401
  answer = () => ({ status: 204 }); // {status, headers, body}, or null for none

  // `tls` is a certificate of makeCertificate().
  static async start({ tls, port = 0 } = {}) {
    const receiver = new Receiver();
    receiver.scheme = tls ? 'https' : 'http';
    receiver.tls = tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
    await receiver.listen(port);
    return receiver;
  }

  async listen(port = this.port) {
    const take = (request, response) => this.#take(request, response);
    this.server = this.tls ? https.createServer(this.tls, take) : http.createServer(take);
    this.server.listen(port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
    this.url = `${this.scheme}://127.0.0.1:${this.port}/hook`;
  }

  async #take(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    const call = { at: Date.now(), headers: request.headers, id: request.headers['webhook-id'], body, json: JSON.parse(body) };
    if (this.secret) {
      try {
        new Webhook(this.secret).verify(body, request.headers);
      } catch (error) {
        call.forged = error.message;
      }
    }
    this.calls.push(call);
    const answer = call.forged ? { status: 401 } : this.answer(call);
    if (answer === null) return;
    response.writeHead(answer.status, answer.headers).end(answer.body);
    call.status = answer.status;
  }

  of(room) {
    return this.calls.filter(({ json }) => json.data.stream_id === room);
  }

  received(room, n) {
    return until(`the webhook is called ${n} times`, () => this.of(room).length >= n && this.of(room));
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
}

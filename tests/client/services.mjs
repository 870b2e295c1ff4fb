// Local servers that speak the protocols of Ably and Supabase Realtime as far as readers need them, so that tests can use the
// real SDKs without the services.
// https://ably.com/docs/client-lib-development-guide/protocol and https://supabase.com/docs/guides/realtime/protocol.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { AblyError, permits, TokenDesk } from '../contracts/ably_tokens.mjs';

class Service {
  sockets = new Set();
  subscribed = new Map(); // channel → sockets
  joins = 0;

  static async start() {
    const service = new this();
    service.http = createServer((request, response) => service.answer(request, response));
    service.server = new WebSocketServer({ server: service.http });
    await once(service.http.listen(0, '127.0.0.1'), 'listening');
    service.port = service.http.address().port;
    service.server.on('connection', (socket, request) => {
      service.sockets.add(socket);
      socket.on('close', () => {
        service.sockets.delete(socket);
        for (const sockets of service.subscribed.values()) sockets.delete(socket);
      });
      socket.on('message', (text) => service.handle(socket, JSON.parse(text)));
      service.greet?.(socket, request);
    });
    return service;
  }

  answer(request, response) {
    response.writeHead(404).end();
  }

  join(channel, socket) {
    this.joins++;
    if (!this.subscribed.has(channel)) this.subscribed.set(channel, new Set());
    this.subscribed.get(channel).add(socket);
  }

  leave(channel, socket) {
    this.subscribed.get(channel)?.delete(socket);
  }

  readers(channel) {
    return this.subscribed.get(channel)?.size ?? 0;
  }

  cut() {
    for (const socket of this.sockets) socket.terminate();
  }

  close() {
    this.cut();
    this.server.close();
    this.http.close();
  }
}

const ABLY = { HEARTBEAT: 0, CONNECTED: 4, DISCONNECTED: 6, ERROR: 9, CLOSE: 7, CLOSED: 8, ATTACH: 10, ATTACHED: 11, DETACH: 12, DETACHED: 13 };
const ABLY_MESSAGE = 15;

export class AblyService extends Service {
  #connections = 0;
  #messages = 0;

  // From now on each connection needs a token, obtained with a request that is signed by this key. The token names the Ably
  // channels that its connection may read.
  requireTokens(key) {
    this.desk = new TokenDesk(key);
  }

  // Expires all tokens. Like Ably, it sends an error to each connection and closes it.
  expireTokens() {
    this.desk.expire();
    for (const socket of this.sockets) this.#refuse(socket, new AblyError(401, 40142, 'Token expired'), ABLY.DISCONNECTED);
  }

  async answer(request, response) {
    const keyName = /^\/keys\/([^/]+)\/requestToken/.exec(request.url)?.[1];
    if (!this.desk || !keyName) return super.answer(request, response);
    let [status, body] = [201];
    try {
      request.setEncoding('utf8');
      let text = '';
      for await (const piece of request) text += piece;
      body = this.desk.exchange(decodeURIComponent(keyName), JSON.parse(text));
    } catch ({ statusCode = 500, code = 50000, message }) {
      [status, body] = [statusCode, { error: { statusCode, code, message } }];
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  }

  greet(socket, request) {
    try {
      const query = new URL(request.url, 'ws://service').searchParams;
      if (this.desk) socket.token = this.desk.check(query.get('access_token') ?? query.get('accessToken'));
    } catch (error) {
      return this.#refuse(socket, error, ABLY.ERROR);
    }
    const id = `connection-${++this.#connections}`;
    const connectionDetails = { connectionKey: `key-${id}`, connectionStateTtl: 120_000, maxIdleInterval: 15_000 };
    this.#send(socket, { action: ABLY.CONNECTED, connectionId: id, connectionDetails });
  }

  handle(socket, { action, channel }) {
    if (action === ABLY.HEARTBEAT) this.#send(socket, { action });
    if (action === ABLY.CLOSE) this.#send(socket, { action: ABLY.CLOSED });
    if (action === ABLY.ATTACH && this.desk && !permits(socket.token, 'subscribe', channel)) {
      const error = { statusCode: 401, code: 40160, message: 'operation not permitted with provided capability' };
      this.#send(socket, { action: ABLY.ERROR, channel, error });
    } else if (action === ABLY.ATTACH) {
      this.join(channel, socket);
      this.#send(socket, { action: ABLY.ATTACHED, channel, channelSerial: `${this.#messages}`, flags: 0 });
    }
    if (action === ABLY.DETACH) {
      this.leave(channel, socket);
      this.#send(socket, { action: ABLY.DETACHED, channel });
    }
  }

  publish(channel, frame) {
    const id = `m-${++this.#messages}`;
    const messages = [{ name: 'message', data: JSON.stringify(frame), encoding: 'json' }];
    const message = { action: ABLY_MESSAGE, channel, id, channelSerial: id, timestamp: Date.now(), messages };
    for (const socket of this.subscribed.get(channel) ?? []) this.#send(socket, message);
  }

  #refuse(socket, { statusCode, code, message }, action) {
    this.#send(socket, { action, error: { statusCode, code, message } });
    socket.close();
  }

  #send(socket, message) {
    socket.send(JSON.stringify(message));
  }
}

const channelOf = (topic, isPrivate) => (isPrivate ? topic : `${topic} (public)`);

// A public and a private channel of one topic are two channels, as in Realtime, whose inner topic has a name of its
// own for private ones (https://github.com/supabase/realtime, lib/realtime/tenants.ex, tenant_topic). Joining either succeeds.
export class SupabaseService extends Service {
  refuse = false; // whether to refuse joins

  greet(socket, request) {
    socket.version = new URL(request.url, 'ws://service').searchParams.get('vsn');
  }

  handle(socket, message) {
    const [joinRef, ref, topic, event, config] = Array.isArray(message)
      ? [...message.slice(0, 4), message[4]?.config]
      : [message.join_ref, message.ref, message.topic, message.event, message.payload?.config];
    if (!['phx_join', 'phx_leave', 'heartbeat'].includes(event)) return;
    if (event === 'phx_leave') for (const isPrivate of [true, false]) this.leave(channelOf(topic, isPrivate), socket);
    const refused = event === 'phx_join' && this.refuse;
    if (event === 'phx_join' && !refused) this.join(channelOf(topic, config?.private === true), socket);
    const payload = refused ? { status: 'error', response: { reason: 'Unauthorized' } } : { status: 'ok', response: {} };
    this.#send(socket, [joinRef, ref, topic, 'phx_reply', payload]);
  }

  // The sidecar publishes privately by default.
  publish(topic, frame, { isPrivate = true } = {}) {
    const payload = { type: 'broadcast', event: 'message', payload: frame };
    const channel = `realtime:${topic}`;
    const sockets = this.subscribed.get(channelOf(channel, isPrivate)) ?? [];
    for (const socket of sockets) this.#send(socket, [null, null, channel, 'broadcast', payload]);
  }

  #send(socket, [join_ref, ref, topic, event, payload]) {
    const object = { join_ref, ref, topic, event, payload };
    socket.send(JSON.stringify(socket.version === '2.0.0' ? [join_ref, ref, topic, event, payload] : object));
  }
}

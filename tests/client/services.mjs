// Local servers that speak the protocols of Ably and Supabase Realtime as far as readers need them, so that tests can use the
// real SDKs without the services.
// https://ably.com/docs/client-lib-development-guide/protocol and https://supabase.com/docs/guides/realtime/protocol.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import msgpack from '@ably/msgpack-js';
import { Realtime } from 'ably';
import { WebSocket, WebSocketServer } from 'ws';
import { AblyError, permits, TokenDesk } from '../contracts/ably_tokens.mjs';
import { makeCertificate } from '../contracts/service.mjs';

// supabase-js needs Node.js 20. The other tests also run on Node.js 18.
export const withoutSupabaseSdk = Number(process.versions.node.split('.')[0]) < 20;
const { createClient: createSupabase } = withoutSupabaseSdk ? {} : await import('@supabase/supabase-js');

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
      socket.on('message', (data, isBinary) => service.handle(socket, isBinary ? msgpack.decode(data) : JSON.parse(data)));
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

  // The real SDK, which connects to this service.
  sdk(options = {}) {
    return new Realtime({
      token: 'a token',
      realtimeHost: '127.0.0.1',
      restHost: '127.0.0.1',
      port: this.port,
      tls: false,
      useBinaryProtocol: false,
      transports: ['web_socket'],
      logLevel: 0,
      ...options,
    });
  }

  // From now on each connection needs a token, obtained with a request that is signed by this key. The token names the Ably
  // channels that its connection may read.
  requireTokens(key, options = {}) {
    this.desk = new TokenDesk(key, undefined, options);
  }

  // Serves the REST API over TLS too, with which sealcastd publishes and revokes. Resolves with {url, certificates}.
  async serveTls(directory) {
    const { key, cert } = makeCertificate(directory, 'localhost', 'ably');
    this.tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => this.answer(request, response));
    await once(this.tls.listen(0, '127.0.0.1'), 'listening');
    return { url: `https://localhost:${this.tls.address().port}`, certificates: cert };
  }

  close() {
    this.tls?.close();
    this.tls?.closeAllConnections();
    super.close();
  }

  // Expires all tokens. Like Ably, it sends an error to each connection and closes it.
  expireTokens() {
    this.desk.expire();
    for (const socket of this.sockets) this.#refuse(socket, new AblyError(401, 40142, 'Token expired'), ABLY.DISCONNECTED);
  }

  async answer(request, response) {
    const [, kind, name, action] = /^\/(keys|channels)\/([^/]+)\/(requestToken|revokeTokens|messages)/.exec(request.url) ?? [];
    if (!this.desk || !kind) return super.answer(request, response);
    let [status, body] = [201, {}];
    try {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const text = Buffer.concat(pieces);
      const binary = request.headers['content-type'] === 'application/x-msgpack';
      const sent = binary ? msgpack.decode(text) : JSON.parse(text);
      const what = decodeURIComponent(name);
      if (action === 'messages') for (const { data } of sent) this.publish(what, JSON.parse(data));
      if (action === 'requestToken') body = this.desk.exchange(what, sent);
      if (action === 'revokeTokens') {
        ({ status, body } = this.desk.revoke(what, request.headers, sent));
        this.#cutRevoked();
      }
    } catch ({ statusCode = 500, code = 50000, message }) {
      [status, body] = [statusCode, { error: { statusCode, code, message } }];
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  }

  // Revokes the tokens of a clientId, as a request with the key does.
  revoke(clientId) {
    const { keyName, secret } = this.desk;
    const authorization = `Basic ${Buffer.from(`${keyName}:${secret}`).toString('base64')}`;
    this.desk.revoke(keyName, { authorization }, { targets: [`clientId:${clientId}`] });
    this.#cutRevoked();
  }

  // A connection with a revoked token is disconnected at once: https://ably.com/docs/auth/revocation#errors. That its
  // error is that of the state `disconnected`: github.com/ably/ably-js, test/rest/batch.test.js
  #cutRevoked() {
    for (const socket of this.sockets) {
      try {
        this.desk.check(socket.token.token);
      } catch (error) {
        this.#refuse(socket, error, ABLY.DISCONNECTED);
      }
    }
  }

  greet(socket, request) {
    const query = new URL(request.url, 'ws://service').searchParams;
    socket.isBinary = query.get('format') === 'msgpack'; // the SDK's default on Node.js
    try {
      if (this.desk) socket.token = this.desk.check(query.get('access_token') ?? query.get('accessToken'));
    } catch (error) {
      return this.#refuse(socket, error, ABLY.ERROR);
    }
    const id = `connection-${++this.#connections}`;
    const { clientId } = socket.token ?? {};
    const connectionDetails = { clientId, connectionKey: `key-${id}`, connectionStateTtl: 120_000, maxIdleInterval: 15_000 };
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

  // The messages to a connection were more than its rate, so Ably has dropped some:
  // https://ably.com/docs/platform/errors/codes/42915-rate-limit-exceeded-per-connection-outbound. The flag RESUMED is missing.
  loseContinuity(channel) {
    const error = { statusCode: 400, code: 80020, message: 'Continuity loss on channel as maximum server-to-client message rate exceeded' };
    const attached = { action: ABLY.ATTACHED, channel, channelSerial: `${this.#messages}`, flags: 0, error };
    for (const socket of this.subscribed.get(channel) ?? []) this.#send(socket, attached);
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
    socket.send(socket.isBinary ? msgpack.encode(message) : JSON.stringify(message));
  }
}

const channelOf = (topic, isPrivate) => (isPrivate ? topic : `${topic} (public)`);

// A public and a private channel of one topic are two channels, as in Realtime, whose inner topic has a name of its
// own for private ones (https://github.com/supabase/realtime, lib/realtime/tenants.ex, tenant_topic). Joining either succeeds.
export class SupabaseService extends Service {
  refuse = false; // whether to refuse joins

  // The real SDK, which connects to this service.
  sdk() {
    return createSupabase(`http://127.0.0.1:${this.port}`, 'a key', {
      auth: { persistSession: false, autoRefreshToken: false },
      realtime: { transport: WebSocket },
    });
  }

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
    if (event === 'phx_join' && !refused) {
      this.join(channelOf(topic, config?.private === true), socket);
      (socket.joinRefs ??= new Map()).set(topic, joinRef);
    }
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

  // Closes a private channel for all its readers, as Realtime does above the limit of events per second: it says why, and ends
  // the channel but not the connection (lib/realtime_web/channels/realtime_channel.ex, shutdown_response).
  shutDown(topic, message) {
    const channel = `realtime:${topic}`;
    for (const socket of this.subscribed.get(channel) ?? []) {
      const joinRef = socket.joinRefs.get(channel);
      this.#send(socket, [joinRef, null, channel, 'system', { extension: 'system', status: 'error', message, channel: topic }]);
      this.#send(socket, [joinRef, joinRef, channel, 'phx_close', {}]);
      this.leave(channel, socket);
    }
  }

  #send(socket, [join_ref, ref, topic, event, payload]) {
    const object = { join_ref, ref, topic, event, payload };
    socket.send(JSON.stringify(socket.version === '2.0.0' ? [join_ref, ref, topic, event, payload] : object));
  }
}

// A simulated compromised Redis. It answers the checks of the gate with the bytes that a test sets.
import { once } from 'node:events';
import net from 'node:net';

const OK = '+OK\r\n';

export class LyingRedis {
  connections = 0;
  #sockets = new Set();
  #server;

  // answer(socket) answers one check. By default every message passes as new.
  answer = (socket) => socket.write(PASS);

  static async start() {
    const redis = new LyingRedis();
    redis.#server = net.createServer((socket) => redis.#serve(socket)).listen(0, '127.0.0.1');
    await once(redis.#server, 'listening');
    return redis;
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  #serve(socket) {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    let buffer = '';
    socket.setEncoding('latin1').on('data', (text) => {
      buffer += text;
      for (let command; ([command, buffer] = next(buffer)), command; ) this.#take(socket, command);
    });
  }

  #take(socket, [verb, , , key = '']) {
    if (key.includes('{?health-')) socket.write(PASS); // the checks of /readyz, which are no messages
    else if (verb === 'EVALSHA' || verb === 'EVAL') this.answer(socket);
    else socket.write(verb === 'PING' ? '+PONG\r\n' : OK);
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

// The answers of the gate's script: see sidecar/src/message/redis_gate.cpp.
export const PASS = ':8\r\n';
export const SEEN = ':9\r\n';

// Returns the first complete command in the buffer, or null, and the rest of the buffer.
function next(buffer) {
  const lines = /^\*(\d+)\r\n/.exec(buffer);
  if (!lines) return [null, buffer];
  const command = [];
  let at = lines[0].length;
  while (command.length < Number(lines[1])) {
    const size = /^\$(\d+)\r\n/.exec(buffer.slice(at));
    if (!size) return [null, buffer];
    at += size[0].length;
    if (buffer.length < at + Number(size[1]) + 2) return [null, buffer];
    command.push(buffer.slice(at, at + Number(size[1])));
    at += Number(size[1]) + 2;
  }
  return [command, buffer.slice(at)];
}

// The DNS server that the sidecars ask for the host of the broker. While the fault lasts, it answers nothing, so that a
// look-up takes as long as the resolver of the C library tries: 10 s. It needs the namespaces of namespace.sh.
import { execFile } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ADDRESS = '127.0.0.53';
const [A, NO_SUCH_NAME] = [1, 3]; // RFC 1035

export class NameServer {
  static NAME = 'broker.sealcast.test';
  asked = 0;
  ignored = 0;
  #silent = false;

  // `cut` cuts all connections of the sidecars to services.
  static async start(stack, cut) {
    const server = new NameServer();
    server.cut = cut;
    server.socket = dgram.createSocket('udp4', (query, from) => server.#serve(query, from));
    server.socket.bind(53, ADDRESS);
    await once(server.socket, 'listening');
    const file = join(stack.directory, 'resolv.conf');
    // As long as by default, 10 s, but the answer is found sooner after the fault.
    writeFileSync(file, `nameserver ${ADDRESS}\noptions timeout:2 attempts:5\n`, { mode: 0o644 });
    await run('mount', ['--bind', file, '/etc/resolv.conf']);
    return server;
  }

  #serve(query, from) {
    this.asked++;
    if (this.#silent) this.ignored++;
    else this.socket.send(answerOf(query), from.port, from.address);
  }

  // The services themselves are there. Those whose host is an address must have their connections again at once.
  async inject() {
    this.#silent = true;
    this.cut();
    return () => (this.#silent = false);
  }

  async close() {
    this.socket.close();
    await run('umount', ['--lazy', '/etc/resolv.conf']);
  }
}

// The name has the address 127.0.0.1 and no other record. There is no other name.
function answerOf(query) {
  const labels = [];
  let at = 12;
  for (; query[at] > 0; at += query[at] + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
  const type = query.readUInt16BE(at + 1);
  const known = labels.join('.').toLowerCase() === NameServer.NAME;
  const head = Buffer.alloc(12);
  head.writeUInt16BE(query.readUInt16BE(0), 0); // the id of the query
  head.writeUInt16BE(0x8180 | (known ? 0 : NO_SUCH_NAME), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(known && type === A ? 1 : 0, 6);
  const record = Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([head, query.subarray(12, at + 5), ...(known && type === A ? [record] : [])]);
}

// A local server that enforces the documented contract of a service that cannot be reached (tests/contracts/).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class ContractService {
  #process;
  #lines;
  #directory;

  // `name`: of the file in tests/contracts/.
  static async start(name, ...options) {
    const service = new ContractService();
    const directory = mkdtempSync(join(tmpdir(), 'sealcast-contract-'));
    chmodSync(directory, 0o755); // sealcastd, which may be another user, reads the certificate and the key here
    service.#directory = directory;
    const program = fileURLToPath(new URL(`../contracts/${name}.mjs`, import.meta.url));
    service.#process = spawn(process.execPath, [program, '--dir', directory, '--key', 'the.key:secret', ...options], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    service.#lines = createInterface(service.#process.stdout)[Symbol.asyncIterator]();
    const { url, ca_file: certificates, key } = await service.#next();
    service.keyFile = service.file('api-key', key);
    chmodSync(certificates, 0o644);
    return Object.assign(service, { url, certificates });
  }

  // A file that sealcastd may read.
  file(name, content) {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    chmodSync(path, 0o644);
    return path;
  }

  async #next() {
    const { value } = await this.#lines.next();
    return JSON.parse(value);
  }

  // One command of the control interface (tests/contracts/service.mjs).
  async tell(command) {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    return this.#next();
  }

  faults(faults = {}) {
    return this.tell({ do: 'faults', ...faults });
  }

  async offsets(channel) {
    return (await this.tell({ do: 'offsets', channel })).offsets;
  }

  async close() {
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
    rmSync(this.#directory, { recursive: true });
  }
}

// Starts a local server that behaves as an outside service documents (tests/contracts/), since tests cannot reach the service.
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

  // `name` is the name of a file in tests/contracts/.
  static async start(name, ...options) {
    const service = new ContractService();
    const directory = mkdtempSync(join(tmpdir(), 'sealcast-contract-'));
    chmodSync(directory, 0o755); // sealcastd reads the certificate and the key here, perhaps as another user
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

  // Writes a file that sealcastd may read; returns its path.
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

  // Sends one command of the control interface (tests/contracts/service.mjs); resolves with the answer.
  async command(command) {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    return this.#next();
  }

  faults(faults = {}) {
    return this.command({ do: 'faults', ...faults });
  }

  async offsets(channel) {
    return (await this.command({ do: 'offsets', channel })).offsets;
  }

  async close() {
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
    rmSync(this.#directory, { recursive: true });
  }
}

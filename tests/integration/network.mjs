// Regions that a test can cut off: one network namespace for each region, and one in the center with a link to each. All addresses
// are inside these namespaces; the machine's own network is not changed.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

export class Network {
  #name = `sealcast-${process.pid}-${randomBytes(3).toString('hex')}`;
  #cleaner;

  // Namespaces need root (CAP_SYS_ADMIN) and iproute2. Without them this fails instead of skipping the tests.
  static async create(regions) {
    const network = new Network();
    try {
      await network.#make(regions);
    } catch (error) {
      await network.close();
      throw new Error(`cannot make network namespaces; run this as root on Linux, with iproute2: ${error.message}`, {
        cause: error,
      });
    }
    return network;
  }

  async #make(regions) {
    this.regions = regions;
    const all = ['center', ...regions].map((place) => this.#namespace(place));
    // Deletes the namespaces when this process closes the pipe or ends in any way.
    const script = 'read -r; for name in "$@"; do ip netns delete "$name"; done';
    this.#cleaner = spawn('bash', ['-c', script, 'bash', ...all], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    for (const handle of [this.#cleaner, this.#cleaner.stdin]) handle.unref();
    for (const name of all) await run('ip', ['netns', 'add', name]);
    for (const place of ['center', ...regions]) await this.#ip(place, 'link', 'set', 'lo', 'up');
    for (const region of regions) {
      const [center, own] = [this.#namespace('center'), this.#namespace(region)];
      await run('ip', ['link', 'add', `to-${region}`, 'netns', center, 'type', 'veth', 'peer', 'name', 'center', 'netns', own]);
      await this.#ip('center', 'address', 'add', `${this.gateway(region)}/30`, 'dev', `to-${region}`);
      await this.#ip(region, 'address', 'add', `${this.address(region)}/30`, 'dev', 'center');
      await this.#ip('center', 'link', 'set', `to-${region}`, 'up');
      await this.#ip(region, 'link', 'set', 'center', 'up');
      await this.#ip(region, 'route', 'add', 'default', 'via', this.gateway(region));
    }
    const [program, ...rest] = [...this.inside('center'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'];
    await run(program, rest);
  }

  // The prefix of a command that runs in a region or in the center.
  inside(place) {
    return ['ip', 'netns', 'exec', this.#namespace(place)];
  }

  address(region) {
    return `10.77.${this.regions.indexOf(region)}.2`;
  }

  // The address of the center on the link to a region.
  gateway(region) {
    return `10.77.${this.regions.indexOf(region)}.1`;
  }

  // `how` is down (the center sees that the link is down) or silent (packets arrive, but none comes back).
  async cut(region, how) {
    if (how === 'down') await this.#ip('center', 'link', 'set', `to-${region}`, 'down');
    else await this.#ip(region, 'rule', 'add', 'pref', '10', 'blackhole');
  }

  async restore(region, how) {
    if (how === 'down') await this.#ip('center', 'link', 'set', `to-${region}`, 'up');
    else await this.#ip(region, 'rule', 'delete', 'pref', '10');
  }

  async close() {
    if (!this.#cleaner) return;
    const ended = once(this.#cleaner, 'close');
    this.#cleaner.ref();
    this.#cleaner.stdin.end();
    await ended;
  }

  #namespace(place) {
    return `${this.#name}-${place}`;
  }

  async #ip(place, ...command) {
    await run('ip', ['-n', this.#namespace(place), ...command]);
  }
}

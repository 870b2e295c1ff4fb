// Regions that a test can cut off: network namespaces around a hub, with a link from the hub to each. All addresses are in
// these namespaces; the machine's own network is not touched.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

export class Network {
  #name = `sealcast-${process.pid}-${randomBytes(3).toString('hex')}`;
  #undertaker;

  // Namespaces need root (CAP_SYS_ADMIN) and iproute2. Without them this fails: what it is for would go untested.
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
    const all = ['hub', ...regions].map((place) => this.#namespace(place));
    // Takes the namespaces away when this process closes the pipe, or ends in whatever way.
    const script = 'read -r; for name in "$@"; do ip netns delete "$name"; done';
    this.#undertaker = spawn('bash', ['-c', script, 'bash', ...all], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    for (const handle of [this.#undertaker, this.#undertaker.stdin]) handle.unref();
    for (const name of all) await run('ip', ['netns', 'add', name]);
    for (const place of ['hub', ...regions]) await this.#ip(place, 'link', 'set', 'lo', 'up');
    for (const region of regions) {
      const [hub, own] = [this.#namespace('hub'), this.#namespace(region)];
      await run('ip', ['link', 'add', `to-${region}`, 'netns', hub, 'type', 'veth', 'peer', 'name', 'hub', 'netns', own]);
      await this.#ip('hub', 'address', 'add', `${this.gateway(region)}/30`, 'dev', `to-${region}`);
      await this.#ip(region, 'address', 'add', `${this.address(region)}/30`, 'dev', 'hub');
      await this.#ip('hub', 'link', 'set', `to-${region}`, 'up');
      await this.#ip(region, 'link', 'set', 'hub', 'up');
      await this.#ip(region, 'route', 'add', 'default', 'via', this.gateway(region));
    }
    const [program, ...rest] = [...this.inside('hub'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'];
    await run(program, rest);
  }

  // What a command is prefixed with to run in a region, or in the hub.
  inside(place) {
    return ['ip', 'netns', 'exec', this.#namespace(place)];
  }

  address(region) {
    return `10.77.${this.regions.indexOf(region)}.2`;
  }

  // The hub's address on the link to a region.
  gateway(region) {
    return `10.77.${this.regions.indexOf(region)}.1`;
  }

  // down: the hub sees that there is no way there. silent: packets arrive, and none comes back.
  async cut(region, how) {
    if (how === 'down') await this.#ip('hub', 'link', 'set', `to-${region}`, 'down');
    else await this.#ip(region, 'rule', 'add', 'pref', '10', 'blackhole');
  }

  async mend(region, how) {
    if (how === 'down') await this.#ip('hub', 'link', 'set', `to-${region}`, 'up');
    else await this.#ip(region, 'rule', 'delete', 'pref', '10');
  }

  async close() {
    if (!this.#undertaker) return;
    const ended = once(this.#undertaker, 'close');
    this.#undertaker.ref();
    this.#undertaker.stdin.end();
    await ended;
  }

  #namespace(place) {
    return `${this.#name}-${place}`;
  }

  async #ip(place, ...command) {
    await run('ip', ['-n', this.#namespace(place), ...command]);
  }
}

// Groups of Redis servers for tests: a cluster of three masters with a replica each, and a master with replicas that three sentinels
// watch. All are real servers on loopback, which end with the stack.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RedisTarget, tlsOptions } from './redis_target.mjs';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const SLOTS = 16384;
const NODE_TIMEOUT = 1000; // ms after which a node of the cluster, or the master of the sentinels, counts as dead
const inMemory = ['--appendonly', 'no', '--repl-diskless-sync-delay', '0'];

export class RedisCluster {
  static async start(stack) {
    const cluster = new RedisCluster();
    cluster.nodes = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const bus = await freePort();
        const files = ['--cluster-config-file', `nodes-${bus}.conf`];
        const node = await RedisTarget.start(stack, ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no', '--cluster-port', `${bus}`, '--cluster-node-timeout', `${NODE_TIMEOUT}`, ...files, ...inMemory]);
        return Object.assign(node, { bus, id: await node.command('cluster', 'myid') });
      }),
    );
    const [first, ...others] = cluster.nodes;
    for (const [i, master] of cluster.masters.entries()) {
      await master.command('cluster', 'addslotsrange', `${Math.ceil((i * SLOTS) / 3)}`, `${Math.ceil(((i + 1) * SLOTS) / 3) - 1}`);
      await master.command('cluster', 'set-config-epoch', `${i + 1}`);
    }
    for (const node of others) await first.command('cluster', 'meet', '127.0.0.1', `${node.port}`, `${node.bus}`);
    await until('all nodes know each other', async () => {
      for (const node of cluster.nodes) if (!(await node.text('cluster', 'info')).includes('cluster_known_nodes:6')) return false;
      return true;
    });
    for (const [i, replica] of cluster.nodes.slice(3).entries()) {
      await until('a node becomes a replica', async () => (await replica.command('cluster', 'replicate', cluster.nodes[i].id)) === 'OK');
    }
    await until('the cluster is complete', () => cluster.complete(cluster.nodes));
    return cluster;
  }

  // The first three nodes, which are the masters at the beginning.
  get masters() {
    return this.nodes.slice(0, 3);
  }

  get url() {
    return `redis://${this.masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  // Whether these nodes see every slot served, and all their replicas are in step.
  async complete(nodes) {
    for (const node of nodes) {
      if (!(await node.text('cluster', 'info')).includes('cluster_state:ok')) return false;
      const replication = await node.text('info', 'replication');
      if (replication.includes('role:slave') && !replication.includes('master_link_status:up')) return false;
    }
    return true;
  }

  // The master of a key's slot, and another one.
  async ownerOf(key) {
    const slot = Number(await this.nodes[1].command('cluster', 'keyslot', key));
    const ranges = await this.nodes[1].command('cluster', 'slots');
    const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to);
    const owner = this.nodes.find((node) => node.port === port);
    const other = this.nodes.find((node) => node.port !== port && ranges.some(([, , [, at]]) => at === node.port));
    return { slot, owner, other };
  }
}

export class RedisSentinels {
  static NAME = 'sealcast-test';

  // With `certificate`, the servers and the sentinels speak only TLS.
  static async start(stack, { certificate } = {}) {
    const group = Object.assign(new RedisSentinels(), { certificate });
    const master = await RedisTarget.start(stack, inMemory, { certificate });
    const replicas = await Promise.all([1, 2].map(() => RedisTarget.start(stack, ['--replicaof', `127.0.0.1 ${master.port}`, ...inMemory], { certificate })));
    group.nodes = [master, ...replicas];
    await until('the replicas are in step', async () => (await master.text('info', 'replication')).includes('connected_slaves:2'));
    group.sentinels = [];
    for (let i = 0; i < 3; i++) {
      const port = await freePort();
      const file = join(stack.directory, 'redis', `sentinel-${port}.conf`); // a sentinel writes to its file
      const monitor = [`sentinel monitor ${RedisSentinels.NAME} 127.0.0.1 ${master.port} 2`, `sentinel down-after-milliseconds ${RedisSentinels.NAME} ${NODE_TIMEOUT}`];
      writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', ...monitor, `sentinel failover-timeout ${RedisSentinels.NAME} 2000`, ''].join('\n'));
      chmodSync(file, 0o666);
      const tls = certificate ? tlsOptions(port, certificate) : [];
      const sentinel = Object.assign(new RedisTarget(), { port, certificate, process: stack.spawn(['redis-server', file, '--sentinel', ...tls]) });
      group.sentinels.push(sentinel);
    }
    await until('the sentinels know each other and the replicas', async () => {
      for (const sentinel of group.sentinels) {
        const others = await sentinel.command('sentinel', 'sentinels', RedisSentinels.NAME);
        const known = await sentinel.command('sentinel', 'replicas', RedisSentinels.NAME);
        if (others.length < 2 || known.length < 2) return false;
      }
      return true;
    });
    return group;
  }

  get url() {
    return `redis${this.certificate ? 's' : ''}+sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${RedisSentinels.NAME}`;
  }

  // The node that two of the sentinels call the master.
  async master() {
    const named = [];
    for (const sentinel of this.sentinels) {
      const [, port] = await sentinel.command('sentinel', 'get-master-addr-by-name', RedisSentinels.NAME).catch(() => []);
      named.push(Number(port));
    }
    return this.nodes.find(({ port }) => named.filter((one) => one === port).length >= 2);
  }
  // Whether two sentinels agree on the master, and all other nodes are its replicas and in step.
  async inStep() {
    const master = await this.master();
    if (!master) return false;
    for (const node of this.nodes) {
      const replication = await node.text('info', 'replication');
      const states = node === master ? ['role:master'] : [`master_port:${master.port}`, 'master_link_status:up'];
      if (!states.every((state) => replication.includes(state))) return false;
    }
    return true;
  }

  // Makes a node that was the master a replica. The sentinels would do that only 10 s later.
  async demote(node) {
    await node.command('replicaof', '127.0.0.1', `${(await this.master()).port}`);
  }
}

// The gate's Redis in three shapes: a single server, a cluster, and a master with sentinels. Each has the faults of its
// shape; only the single server goes back to an older dump. A fault is removed when the whole group is in step again, so that the next one meets a group that can lose a node.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RedisCluster, RedisSentinels } from '../../integration/redis_groups.mjs';
import { until } from '../../integration/waiting.mjs';

const LIMIT_MS = 60_000;

class SingleRedis {
  linked = true; // a proxy may lead to it
  settings = {};

  static async start(stack) {
    return Object.assign(new SingleRedis(), { stack, url: stack.gateUrl });
  }

  async inject(fault) {
    if (fault === 'freeze') {
      await this.stack.signal('redis', 'SIGSTOP');
      return () => this.stack.signal('redis', 'SIGCONT');
    }
    if (fault === 'older-dump') return this.#saveDump();
    await this.stack.stop('redis', 'SIGKILL');
    return () => this.stack.startRedis();
  }

  // When the fault is removed, Redis has forgotten everything since it began.
  async #saveDump() {
    await this.stack.redis('save');
    return async () => {
      await this.stack.stop('redis', 'SIGKILL');
      await this.stack.startRedis();
      rmSync(join(this.stack.directory, 'redis/dump.rdb')); // the next start begins with nothing
    };
  }
}

// Kills or freezes a master. Until the fault is removed, another node takes over, if there is time.
async function strike(master, fault, { tookOver, start, inStep }) {
  if (fault === 'freeze') {
    master.signal('SIGSTOP');
    return async () => {
      master.signal('SIGCONT');
      await until('all nodes of Redis are in step', inStep, LIMIT_MS);
    };
  }
  await master.stop('SIGKILL');
  return async () => {
    await until('another node of Redis has taken over', tookOver, LIMIT_MS);
    await start();
    await until('all nodes of Redis are in step', inStep, LIMIT_MS);
  };
}

class ClusterRedis {
  settings = { SEALCAST_GATE_REDIS_PASSWORD_FILE: '' };

  // `users` send in every run: faults hit the slots of their keys.
  static async start(stack, users) {
    const cluster = await RedisCluster.start(stack);
    return Object.assign(new ClusterRedis(), { cluster, users, url: cluster.url });
  }

  // Each fault concerns the next user.
  async inject(fault) {
    const { cluster } = this;
    const user = this.users.shift();
    this.users.push(user);
    const key = `{${user.id}}`;
    if (fault === 'move-slot') return this.#moveSlot(key);
    const { owner } = await cluster.ownerOf(key);
    const others = cluster.nodes.filter((node) => node !== owner);
    return strike(owner, fault, {
      tookOver: () => cluster.complete(others),
      start: () => owner.start(),
      inStep: () => cluster.complete(cluster.nodes),
    });
  }

  async #moveSlot(key) {
    const { slot, owner, other } = await this.cluster.ownerOf(key);
    const assign = (node, ...state) => node.command('cluster', 'setslot', `${slot}`, ...state);
    await assign(other, 'importing', owner.id);
    await assign(owner, 'migrating', other.id);
    return async () => {
      for (let keys; (keys = await owner.command('cluster', 'getkeysinslot', `${slot}`, '100')).length > 0; ) {
        await owner.command('migrate', '127.0.0.1', `${other.port}`, '', '0', '5000', 'keys', ...keys);
      }
      for (const node of [other, owner]) await assign(node, 'node', other.id);
      await until('all nodes know the new owner', async () => (await this.cluster.ownerOf(key)).owner === other, LIMIT_MS);
    };
  }
}

class SentinelRedis {
  settings = { SEALCAST_GATE_REDIS_PASSWORD_FILE: '' };

  static async start(stack) {
    const group = await RedisSentinels.start(stack);
    return Object.assign(new SentinelRedis(), { group, url: group.url });
  }

  async inject(fault) {
    const { group } = this;
    const old = await group.master();
    const tookOver = async () => ![undefined, old].includes(await group.master());
    const inStep = () => group.inStep();
    const start = async () => {
      await old.start();
      await group.demote(old);
    };
    if (fault !== 'switch-over') return strike(old, fault, { tookOver, start, inStep });
    const [sentinel] = group.sentinels;
    const begin = () => sentinel.command('sentinel', 'failover', RedisSentinels.NAME);
    await until('a sentinel begins', async () => (await begin()) === 'OK', LIMIT_MS);
    return async () => {
      await until('there is a new master', tookOver, LIMIT_MS);
      await group.demote(old);
      await until('all nodes of Redis are in step', inStep, LIMIT_MS);
    };
  }
}

export const shapes = { single: SingleRedis, cluster: ClusterRedis, sentinel: SentinelRedis };

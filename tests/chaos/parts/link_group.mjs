// The links of a sidecar to both Postgres servers. They have each fault together.
import { Proxy } from '../../client/proxy.mjs';

export class LinkGroup {
  static async to(sockets) {
    const group = new LinkGroup();
    group.links = [];
    for (const path of sockets) group.links.push(await Proxy.to('tcp://postgres', { path }));
    return group;
  }

  get ports() {
    return this.links.map(({ port }) => port);
  }
}

for (const method of ['refuse', 'delay', 'hold', 'lose', 'cut', 'close']) {
  LinkGroup.prototype[method] = function (...parameters) {
    return Promise.all(this.links.map((link) => link[method](...parameters)));
  };
}

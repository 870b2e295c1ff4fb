// One channel of one SDK client, however many subscriptions read it: an SDK that is told to unsubscribe does so for
// everybody, and some refuse to subscribe twice.
import { failure } from './errors.js';
import { parseFrame } from './frame.js';

const channels = new WeakMap(); // SDK client → Map of key → Channel

// Reads a channel until the signal of `on` is aborted, then resolves; rejects when the channel is lost. `client` is an
// SDK client, or a function that makes one for this connection alone, which end(sdk) then closes.
//
// open(sdk, tell) begins to read and returns a function that lets go. It tells connected(how), waiting(error),
// lost(error), and data(what parseFrame() takes).
export async function readShared(client, key, on, { open, end }) {
  const own = typeof client === 'function';
  const sdk = own ? await client() : client;
  try {
    const channel = await channelOf(sdk, key);
    if (!on.signal.aborted) await channel.read(on, (tell) => open(sdk, tell));
  } finally {
    if (own) await end(sdk);
  }
}

// Where a driver reads a stream, on its public or vip channel (../docs/sampling.md), and by which client: {name, client}.
// A function that makes one gets the access, when there is a token.
export async function enter(driver, { client, names, tokens }, streamId, on) {
  const makes = typeof client === 'function';
  const access = await on.access(makes ? tokens : false, on.signal);
  const name = access?.channelId ?? names[on.channel]?.replace('{stream_id}', streamId);
  if (!name) throw failure('transport_refused', `${driver} was not told where the ${on.channel} channel is`);
  return { name, client: makes ? () => client(access?.token ? access : undefined) : client };
}

async function channelOf(sdk, key) {
  if (!channels.has(sdk)) channels.set(sdk, new Map());
  const byKey = channels.get(sdk);
  while (byKey.get(key)?.over) await byKey.get(key).closed;
  if (!byKey.has(key)) byKey.set(key, new Channel(() => byKey.delete(key)));
  return byKey.get(key);
}

class Channel {
  over = false; // lost, or left by the last member
  #members = new Set();
  #state = null; // tells one who joins later
  #close = null;
  #closed;

  constructor(forget) {
    this.closed = new Promise((resolve) => (this.#closed = resolve)).then(forget);
  }

  async read(on, open) {
    const member = { ...on };
    let stop;
    const end = new Promise((resolve, reject) => {
      stop = resolve;
      member.onLost = reject;
    });
    on.signal.addEventListener('abort', stop, { once: true });
    this.#members.add(member);
    try {
      if (this.#members.size === 1) this.#close = open(this.#teller());
      else this.#state?.(member);
      await end;
    } finally {
      on.signal.removeEventListener('abort', stop);
      await this.#leave(member);
    }
  }

  #teller() {
    const all = (tell) => [...this.#members].forEach(tell);
    return {
      connected: (how) => {
        this.#state = (member) => member.onConnected({});
        all((member) => member.onConnected(how));
      },
      waiting: (error) => {
        this.#state = (member) => member.onWaiting(error);
        all(this.#state);
      },
      lost: (error) => {
        this.over = true;
        all((member) => member.onLost(error));
      },
      data: (data) => {
        let frame;
        try {
          frame = parseFrame(data);
        } catch (error) {
          return all((member) => member.onBadFrame(error));
        }
        all((member) => member.onFrame(frame));
      },
    };
  }

  async #leave(member) {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.over = true;
    try {
      await this.#close?.();
    } finally {
      this.#closed();
    }
  }
}

// Lets several subscriptions read one channel of one SDK client. With an SDK, one reader that unsubscribes would end the
// channel for all its readers, and some SDKs refuse a second subscription to a channel.
import { failure } from './errors.js';
import { parseFrame } from './frame.js';

const channels = new WeakMap(); // SDK client → Map of channel name → SharedChannel

// Reads a stream's channel until the signal of `context` is aborted, and then resolves. Rejects when the channel is lost.
//
// `client` is an SDK client, or a function that makes one for this connection. end(sdk) closes a client that was made. The
// function gets the access ({token, url, renew(), …}) when there is a token. `names` are the names of the public and the
// vip channel (../docs/sampling.md); a name from the sidecar takes precedence.
//
// open(sdk, name, report) begins to read the channel and returns a function that stops it. It calls
// report.connected(how), report.waiting(error), report.lost(error), and report.data(data) with input for parseFrame().
export async function readSharedChannel(driver, { client, names, tokens, open, end }, streamId, context) {
  const makesClient = typeof client === 'function';
  const access = await context.access(makesClient ? tokens : false, context.signal);
  const name = access?.channelId ?? names[context.channel]?.replace('{stream_id}', streamId);
  if (!name) throw failure('transport_refused', `${driver}() has no name for the ${context.channel} channel`);
  const sdk = makesClient ? await client(access?.token ? access : undefined) : client;
  try {
    const channel = await channelOf(sdk, name);
    if (!context.signal.aborted) await channel.read(context, (report) => open(sdk, name, report));
  } finally {
    if (makesClient) await end(sdk);
  }
}

async function channelOf(sdk, name) {
  if (!channels.has(sdk)) channels.set(sdk, new Map());
  const byName = channels.get(sdk);
  while (byName.get(name)?.over) await byName.get(name).closed;
  if (!byName.has(name)) byName.set(name, new SharedChannel(() => byName.delete(name)));
  return byName.get(name);
}

class SharedChannel {
  over = false; // lost, or left by the last reader
  #readers = new Set();
  #reportState = null; // reports the present state to a reader that comes later
  #close = null;
  #closed;

  constructor(forget) {
    this.closed = new Promise((resolve) => (this.#closed = resolve)).then(forget);
  }

  async read(context, open) {
    const reader = { ...context };
    let stop;
    const end = new Promise((resolve, reject) => {
      stop = resolve;
      reader.onLost = reject;
    });
    context.signal.addEventListener('abort', stop, { once: true });
    this.#readers.add(reader);
    try {
      if (this.#readers.size === 1) this.#close = open(this.#reports());
      else this.#reportState?.(reader);
      await end;
    } finally {
      context.signal.removeEventListener('abort', stop);
      await this.#leave(reader);
    }
  }

  #reports() {
    const forEachReader = (report) => [...this.#readers].forEach(report);
    return {
      connected: (how) => {
        this.#reportState = (reader) => reader.onConnected({});
        forEachReader((reader) => reader.onConnected(how));
      },
      waiting: (error) => {
        this.#reportState = (reader) => reader.onWaiting(error);
        forEachReader(this.#reportState);
      },
      lost: (error) => {
        this.over = true;
        forEachReader((reader) => reader.onLost(error));
      },
      data: (data) => {
        let frame;
        try {
          frame = parseFrame(data);
        } catch (error) {
          return forEachReader((reader) => reader.onBadFrame(error));
        }
        forEachReader((reader) => reader.onFrame(frame));
      },
    };
  }

  async #leave(reader) {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.over = true;
    try {
      await this.#close?.();
    } finally {
      this.#closed();
    }
  }
}

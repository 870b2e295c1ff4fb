// Reads MQTT 5 or 3.1.1 through the caller's MQTT.js 5 (https://github.com/mqttjs/MQTT.js#api). The topic is
// sealcast/{stream_id}; each MQTT message carries one frame.
import { CLIENT, checkDriver, FLAG, oneOf, TEXT } from '../check.js';
import { failure } from '../errors.js';
import { readSharedChannel } from '../shared_channel.js';

const OPTIONS = { client: CLIENT, topic: TEXT, vipTopic: TEXT, qos: oneOf(0, 1, 2), tokens: FLAG };

// Mosquitto grants a subscription that its rules do not let the user read.
const SILENCE_HINT =
  "Check that topic is as the setting mqtt.topic of the sidecar; that the broker's rules let this user read the topic; and " +
  "that the sidecar's [delivery] has mqtt for this stream";

// `client` is an MqttClient, which reconnects as it is configured, or a function that makes one for each connection. A
// made client that is lost is replaced, with backoff. When there is a token, the function gets {token, url, …}.
export function mqtt(options) {
  const { client, topic = 'sealcast/{stream_id}', vipTopic, qos = 1, tokens } = checkDriver('mqtt()', options, OPTIONS);
  const names = { public: topic, vip: vipTopic };
  const replaceable = typeof client === 'function';
  const open = (sdk, name, report) => openTopic(sdk, report, { name, qos, replaceable });
  const connect = (streamId, context) => readSharedChannel('mqtt', { client, names, tokens, open, end }, streamId, context);
  return { name: 'mqtt', silenceHint: SILENCE_HINT, connect };
}

function openTopic(sdk, report, { name, qos, replaceable }) {
  let cause;
  const subscribe = () =>
    sdk.subscribe(name, { qos }, (error, granted) => {
      const refused = error ?? granted?.find((grant) => grant.qos >= 128);
      if (refused) report.lost(failure('transport_refused', `the broker refuses the topic ${name}`, error));
      else report.connected();
    });
  const leave = dispatcherOf(sdk).add(name, {
    message: (payload) => report.data(payload),
    connect: subscribe,
    error: (error) => (cause = error),
    close: () => {
      const lost = failure('connection_lost', cause?.message ?? 'the connection to the broker is lost', cause);
      if (replaceable) report.lost(lost);
      else report.waiting(lost);
    },
    end: () => report.lost(failure('connection_lost', 'the MQTT client was ended')),
  });
  if (sdk.connected) subscribe();
  return () => {
    leave();
    if (sdk.connected) sdk.unsubscribe(name);
  };
}

const dispatchers = new WeakMap(); // MqttClient → Dispatcher

function dispatcherOf(sdk) {
  if (!dispatchers.has(sdk)) dispatchers.set(sdk, new Dispatcher(sdk));
  return dispatchers.get(sdk);
}

// Listens to one MqttClient for all its topics, with one listener per event: Node.js warns of a leak from the eleventh on.
// A topic has one entry, since readers of one stream share its channel (shared_channel.js).
class Dispatcher {
  #sdk;
  #topics = new Map(); // name → {message, connect, error, close, end}
  #listeners = {
    message: (topic, payload) => this.#topics.get(topic)?.message(payload),
    connect: () => this.#callAll('connect'),
    error: (error) => this.#callAll('error', error),
    close: () => this.#callAll('close'),
    end: () => this.#callAll('end'),
  };

  constructor(sdk) {
    this.#sdk = sdk;
  }

  // Returns a function that removes the topic.
  add(name, topic) {
    if (this.#topics.size === 0) this.#eachListener((event, listener) => this.#sdk.on(event, listener));
    this.#topics.set(name, topic);
    return () => {
      this.#topics.delete(name);
      if (this.#topics.size === 0) this.#eachListener((event, listener) => this.#sdk.off(event, listener));
    };
  }

  #callAll(event, ...args) {
    for (const topic of [...this.#topics.values()]) topic[event](...args);
  }

  #eachListener(action) {
    for (const [event, listener] of Object.entries(this.#listeners)) action(event, listener);
  }
}

// A client may still emit errors while it ends. Without a listener they would be thrown.
function end(sdk) {
  sdk.on('error', () => {});
  sdk.end(true);
}

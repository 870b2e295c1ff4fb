// Reads MQTT 5 or 3.1.1 through the caller's MQTT.js 5 (https://github.com/mqttjs/MQTT.js#api). The topic is
// sealcast/{stream_id}; each MQTT message carries one frame.
import { failure } from '../errors.js';
import { readSharedChannel } from '../shared_channel.js';

// `client` is an MqttClient, which reconnects as it is configured, or a function that makes one for each connection. A
// made client that is lost is replaced, with backoff. When there is a token, the function gets {token, url, …}.
export function mqtt({ client, topic = 'sealcast/{stream_id}', vipTopic, qos = 1, tokens }) {
  const names = { public: topic, vip: vipTopic };
  const replaceable = typeof client === 'function';
  const open = (sdk, name, report) => openTopic(sdk, report, { name, qos, replaceable });
  const connect = (streamId, context) => readSharedChannel('mqtt', { client, names, tokens, open, end }, streamId, context);
  return { name: 'mqtt', connect };
}

function openTopic(sdk, report, { name, qos, replaceable }) {
  let cause;
  const subscribe = () =>
    sdk.subscribe(name, { qos }, (error, granted) => {
      const refused = error ?? granted?.find((grant) => grant.qos >= 128);
      if (refused) report.lost(failure('transport_refused', `the broker refuses the topic ${name}`, error));
      else report.connected();
    });
  const listeners = {
    message: (from, payload) => from === name && report.data(payload),
    connect: subscribe,
    error: (error) => (cause = error),
    close: () => {
      const lost = failure('connection_lost', cause?.message ?? 'the connection to the broker is lost', cause);
      if (replaceable) report.lost(lost);
      else report.waiting(lost);
    },
    end: () => report.lost(failure('connection_lost', 'the MQTT client was ended')),
  };
  for (const [event, listener] of Object.entries(listeners)) sdk.on(event, listener);
  if (sdk.connected) subscribe();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) sdk.off(event, listener);
    if (sdk.connected) sdk.unsubscribe(name);
  };
}

// A client may still emit errors while it ends. Without a listener they would be thrown.
function end(sdk) {
  sdk.on('error', () => {});
  sdk.end(true);
}

// MQTT 5 or 3.1.1 by the caller's MQTT.js 5 (https://github.com/mqttjs/MQTT.js#api): topic sealcast/{stream_id}, one
// frame a message.
import { failure } from '../errors.js';
import { enter, readShared } from '../shared.js';

// `client` is an MqttClient, which reconnects as it is set up to, or a function that makes one for each connection: one
// that is lost is replaced, with backoff. The function gets {token, url} where there is a token.
export function mqtt({ client, topic = 'sealcast/{stream_id}', vipTopic, qos = 1, tokens }) {
  const names = { public: topic, vip: vipTopic };
  return {
    name: 'mqtt',
    connect: async (streamId, on) => {
      const own = typeof client === 'function';
      const { name, client: sdkOrMaker } = await enter('mqtt', { client, names, tokens }, streamId, on);
      return readShared(sdkOrMaker, name, on, { open: (sdk, tell) => open(sdk, tell, { name, qos, own }), end });
    },
  };
}

function open(sdk, tell, { name, qos, own }) {
  let cause;
  const subscribe = () =>
    sdk.subscribe(name, { qos }, (error, granted) => {
      const refused = error ?? granted?.find((grant) => grant.qos >= 128);
      if (refused) tell.lost(failure('transport_refused', `the broker refuses the topic ${name}`, error));
      else tell.connected();
    });
  const listeners = {
    message: (from, payload) => from === name && tell.data(payload),
    connect: subscribe,
    error: (error) => (cause = error),
    close: () => {
      const lost = failure('connection_lost', cause?.message ?? 'the connection to the broker is lost', cause);
      if (own) tell.lost(lost);
      else tell.waiting(lost);
    },
    end: () => tell.lost(failure('connection_lost', 'the MQTT client was ended')),
  };
  for (const [event, listener] of Object.entries(listeners)) sdk.on(event, listener);
  if (sdk.connected) subscribe();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) sdk.off(event, listener);
    if (sdk.connected) sdk.unsubscribe(name);
  };
}

// A client that is being ended may still fail; that is nobody's concern.
function end(sdk) {
  sdk.on('error', () => {});
  sdk.end(true);
}

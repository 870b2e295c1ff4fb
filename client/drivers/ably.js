// Reads Ably through the caller's ably-js 2 (https://ably.com/docs/sdk/js/v2.0/). The Ably channel is
// sealcast:{stream_id}; its messages have the name "message", and their data is one frame. The states of an Ably channel:
// https://ably.com/docs/channels/states.
import { CLIENT, checkDriver, FLAG, OBJECT, TEXT } from '../check.js';
import { failure } from '../errors.js';
import { readSharedChannel } from '../shared_channel.js';

const OPTIONS = { client: CLIENT, channel: TEXT, vipChannel: TEXT, event: TEXT, channelOptions: OBJECT, tokens: FLAG };

const SILENCE_HINT =
  'Check that channel is as the setting ably.channel of the sidecar, and event is message; that client and sidecar use the ' +
  "same Ably app; and that the sidecar's [delivery] has ably for this stream";

// `client` is an Ably.Realtime, or a function that makes one. Both reconnect by themselves. When there is a token, the
// function gets {authCallback, …}.
export function ably(options) {
  const { client, vipChannel, channelOptions, tokens, ...named } = checkDriver('ably()', options, OPTIONS);
  const { channel = 'sealcast:{stream_id}', event = 'message' } = named;
  const names = { public: channel, vip: vipChannel };
  const connect = (streamId, context) => {
    let onRefused; // set while the channel is read
    const withCallback = (access) => ({ ...access, authCallback: authCallbackOf(access, (error) => onRefused?.(error)) });
    const maker = (access) => client(access && withCallback(access));
    const open = (sdk, name, report) => {
      onRefused = report.lost;
      return openChannel(sdk, report, { name, event, channelOptions });
    };
    const end = (sdk) => sdk.close();
    const shared = { client: typeof client === 'function' ? maker : client, names, tokens, open, end };
    return readSharedChannel('ably', shared, streamId, context);
  };
  return { name: 'ably', silenceHint: SILENCE_HINT, connect };
}

// Returns an authCallback that gives the present token first, and a new one each further time. Without onRefused() the
// SDK would ask forever for a token that the sidecar refuses.
function authCallbackOf(access, onRefused) {
  let first = access;
  return async (params, callback) => {
    try {
      const { token } = first ?? (await access.renew());
      first = null;
      callback(null, token);
    } catch (error) {
      callback(error.message, null);
      if (error.code === 'transport_refused') onRefused(error);
    }
  };
}

function openChannel(sdk, report, { name, event, channelOptions }) {
  const channel = sdk.channels.get(name, channelOptions);
  const onMessage = ({ data }) => report.data(data);
  // An "update" event has the state attached too: messages may have been lost although the channel stayed attached.
  const onChannel = ({ current, reason, resumed }) => {
    const state = `the Ably channel ${name} is ${current}`;
    if (current === 'attached') report.connected({ resumed });
    if (current === 'suspended') report.waiting(problem(state, reason));
    if (current === 'failed' || current === 'detached') report.lost(problem(state, reason));
  };
  // While the connection is away for less than two minutes, the channel stays attached and loses nothing.
  const onConnection = ({ current, reason }) => {
    const state = `the Ably connection is ${current}`;
    if (current === 'connected' && channel.state === 'attached') report.connected({ resumed: true });
    if (current === 'disconnected' || current === 'suspended') report.waiting(problem(state, reason));
    if (current === 'failed' || current === 'closed') report.lost(problem(state, reason));
  };
  channel.on(onChannel);
  sdk.connection.on(onConnection);
  if (channel.state === 'attached') report.connected();
  const onError = (reason) => report.lost(problem(`cannot attach to the Ably channel ${name}`, reason));
  channel.subscribe(event, onMessage).catch(onError);
  return () => {
    channel.unsubscribe(event, onMessage);
    channel.off(onChannel);
    sdk.connection.off(onConnection);
    if (channel.state === 'attached') channel.detach().catch(() => {});
  };
}

function problem(message, reason) {
  return failure('connection_lost', reason ? `${message}: ${reason.message}` : message, reason);
}

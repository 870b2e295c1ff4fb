// Ably by the caller's ably-js 2 (https://ably.com/docs/sdk/js/v2.0/): channel sealcast:{stream_id}, messages named
// "message" whose data is one frame. What its states mean: https://ably.com/docs/channels/states.
import { failure } from '../errors.js';
import { enter, readShared } from '../shared.js';

// `client` is an Ably.Realtime, or a function that makes one. Both reconnect by themselves. The function gets
// {authCallback} where there is a token.
export function ably({ client, channel = 'sealcast:{stream_id}', vipChannel, event = 'message', channelOptions, tokens }) {
  const names = { public: channel, vip: vipChannel };
  return {
    name: 'ably',
    connect: async (streamId, on) => {
      let refused; // set while the channel is read
      const maker = (access) => client(access && { ...access, authCallback: tokensOf(access, (error) => refused?.(error)) });
      const made = typeof client === 'function' ? maker : client;
      const { name, client: sdkOrMaker } = await enter('ably', { client: made, names, tokens }, streamId, on);
      const begin = (sdk, tell) => {
        refused = tell.lost;
        return open(sdk, tell, { name, event, channelOptions });
      };
      return readShared(sdkOrMaker, name, on, { open: begin, end: (sdk) => sdk.close() });
    },
  };
}

// An authCallback: the token that is there, and a new one each time after. Ably would go on asking when there is none to
// be had; `refused` is told.
function tokensOf(access, refused) {
  let first = access;
  return async (params, callback) => {
    try {
      const { token } = first ?? (await access.renew());
      first = null;
      callback(null, token);
    } catch (error) {
      callback(error.message, null);
      if (error.code === 'transport_refused') refused(error);
    }
  };
}

function open(sdk, tell, { name, event, channelOptions }) {
  const channel = sdk.channels.get(name, channelOptions);
  const onMessage = ({ data }) => tell.data(data);
  // "update" too comes with the state attached: continuity was lost without the channel leaving that state.
  const onChannel = ({ current, reason, resumed }) => {
    if (current === 'attached') tell.connected({ resumed });
    if (current === 'suspended') tell.waiting(problem(`the channel ${name} is suspended`, reason));
    if (current === 'failed' || current === 'detached') tell.lost(problem(`the channel ${name} is ${current}`, reason));
  };
  // While the connection is away for less than two minutes, the channel stays attached and loses nothing.
  const onConnection = ({ current, reason }) => {
    if (current === 'connected' && channel.state === 'attached') tell.connected({ resumed: true });
    if (current === 'disconnected' || current === 'suspended') tell.waiting(problem('disconnected', reason));
    if (current === 'failed' || current === 'closed') tell.lost(problem(`the connection is ${current}`, reason));
  };
  channel.on(onChannel);
  sdk.connection.on(onConnection);
  if (channel.state === 'attached') tell.connected();
  channel.subscribe(event, onMessage).catch((reason) => tell.lost(problem(`cannot attach to ${name}`, reason)));
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

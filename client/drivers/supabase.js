// Supabase Realtime by the caller's supabase-js 2 (https://supabase.com/docs/guides/realtime/broadcast): topic
// sealcast:{stream_id}, broadcasts of the event "message" whose payload is one frame.
import { failure } from '../errors.js';
import { enter, readShared } from '../shared.js';

// `client` is a SupabaseClient, or a function that makes one. `private` asks for a channel that is guarded by row-level
// security on realtime.messages.
export function supabase({
  client,
  topic = 'sealcast:{stream_id}',
  vipTopic,
  event = 'message',
  private: guarded = false,
}) {
  return {
    name: 'supabase',
    connect: async (streamId, on) => {
      const names = { public: topic, vip: vipTopic };
      const { name, client: sdkOrMaker } = await enter('supabase', { client, names, tokens: false }, streamId, on);
      const begin = (sdk, tell) => open(sdk, tell, { name, event, guarded });
      return readShared(sdkOrMaker, name, on, { open: begin, end: (sdk) => sdk.realtime.disconnect() });
    },
  };
}

function open(sdk, tell, { name, event, guarded }) {
  const channel = sdk.channel(name, { config: { private: guarded } });
  channel.on('broadcast', { event }, ({ payload }) => tell.data(payload));
  // A channel that is subscribed no longer is replaced, with backoff, rather than left to the SDK's own timer.
  channel.subscribe((status, cause) => {
    if (status === 'SUBSCRIBED') tell.connected();
    else tell.lost(failure('connection_lost', `the channel ${name}: ${cause?.message ?? status}`, cause));
  });
  return () => sdk.removeChannel(channel);
}

// Reads Supabase Realtime through the caller's supabase-js 2 (https://supabase.com/docs/guides/realtime/broadcast). The
// topic is sealcast:{stream_id}; its broadcasts have the event "message", and their payload is one frame.
import { CLIENT, checkDriver, FLAG, TEXT } from '../check.js';
import { failure } from '../errors.js';
import { readSharedChannel } from '../shared_channel.js';

const OPTIONS = { client: CLIENT, topic: TEXT, vipTopic: TEXT, event: TEXT, private: FLAG };

// A policy that permits only presence lets the reader join, too.
const SILENCE_HINT =
  'Check that private is as the setting supabase.channels of the sidecar, and topic and event as its settings; that the ' +
  "policy on realtime.messages permits the extension broadcast; and that the sidecar's [delivery] has supabase for this stream";

// `client` is a SupabaseClient, or a function that makes one. `private` asks for a private channel, which row-level
// security on realtime.messages protects. A private and a public channel of one topic are two channels, and joining the
// wrong one succeeds. So the default is that of the setting supabase.channels, which the sidecar publishes by.
export function supabase(options) {
  const { client, vipTopic, private: isPrivate = true, ...named } = checkDriver('supabase()', options, OPTIONS);
  const { topic = 'sealcast:{stream_id}', event = 'message' } = named;
  const names = { public: topic, vip: vipTopic };
  const open = (sdk, name, report) => openTopic(sdk, report, { name, event, isPrivate });
  const shared = { client, names, tokens: false, open, end: (sdk) => sdk.realtime.disconnect() };
  const connect = (streamId, context) => readSharedChannel('supabase', shared, streamId, context);
  return { name: 'supabase', silenceHint: SILENCE_HINT, connect };
}

function openTopic(sdk, report, { name, event, isPrivate }) {
  const channel = sdk.channel(name, { config: { private: isPrivate } });
  channel.on('broadcast', { event }, ({ payload }) => report.data(payload));
  // Realtime says why it closes a channel in a message before, for example "Too many messages per second".
  let reason;
  channel.on('system', {}, ({ status, message }) => {
    if (status === 'error') reason = message;
  });
  // A lost topic is opened again by Sealcast's backoff. The SDK's own timer is not used.
  channel.subscribe((status, cause) => {
    if (status === 'SUBSCRIBED') report.connected();
    else report.lost(failure('connection_lost', `the Supabase topic ${name} is lost: ${cause?.message ?? reason ?? status}`, cause));
  });
  return () => sdk.removeChannel(channel);
}

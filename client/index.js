// The public names of sealcast-client. ../docs/client.md describes them, and index.d.ts gives their types.
//
// The files of this module:
//   client.js                createClient(): sends, reads the history, verifies, gets tickets, opens subscriptions
//   moderation.js            the methods of moderators, and report()
//   sender.js                sends messages: repeats, and a queue for each stream
//   options.js, check.js     the options, and the errors for wrong ones
//   subscription.js          one reader of one stream: its status and its migrations
//   sequencer.js             puts frames in order, removes repeats, and reads missing frames from the history
//   delivery.js              hands messages to the application, without content that was redacted meanwhile
//   redactions.js            remembers which messages were redacted, and which the application got
//   stream_rules.js          follows the rules of a stream
//   frame_verifier.js        verifies frames before anything is done because of them
//   own_messages.js          shows users their own messages that a chat storm leaves out of the public channel
//   transport_connection.js  keeps the driver of one transport connected, with retries
//   drivers/                 one driver for each transport: sse.js, mqtt.js, ably.js, supabase.js
//   silent_channel.js        notices that a channel brings nothing although the stream has new messages
//   shared_channel.js        lets several subscriptions read one channel of one SDK client (MQTT, Ably, Supabase)
//   transport_token.js       requests the token for a transport that checks tokens
//   event_stream.js          parses Server-Sent Events
//   frame.js                 parses and checks a frame
//   http.js                  requests to the sidecar: session token, timeout, and failures as SealcastError
//   answers.js               checks that an answer comes from Sealcast
//   regions.js               chooses the region that requests go to
//   cells.js                 follows a stream to the cell that has it; cellOf()
//   backoff.js               the pause before a retry
//   timers.js, wake.js       timers, and the events of a page that wakes
//   on_abort.js              listens to a caller's AbortSignal
//   errors.js                SealcastError
//   verify_envelope.js       verifies an envelope with a public key
//   public_keys.js           reads and caches the public keys
//   canonical.js             canonical JSON (RFC 8785)
//   system_messages.js       recognises messages from the system
//   sampling.js              decides which messages a chat storm leaves out, as the server does
//   hash.js                  SHA-256
export { cellOf } from './cells.js';
export { createClient } from './client.js';
export { SealcastError } from './errors.js';
export { isSampled, samplingBucket, tierOf } from './sampling.js';
export { covers } from './redactions.js';
export { ably } from './drivers/ably.js';
export { mqtt } from './drivers/mqtt.js';
export { sse } from './drivers/sse.js';
export { supabase } from './drivers/supabase.js';

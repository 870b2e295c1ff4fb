// createClient(): sends messages, verifies envelopes, reads the history and the state of streams, gets tickets, opens subscriptions, and moderates.
import { KEY_SET, PAGE, STATE, TICKET, VERDICT } from './answers.js';
import { checkArgument, checkOptions, OBJECT, TEXT } from './check.js';
import { sse } from './drivers/sse.js';
import { Http } from './http.js';
import { moderationOf } from './moderation.js';
import { ADDRESS, CLIENT_OPTIONS, ENVELOPE, QUERY, SEND_OPTIONS, SIGNAL_OPTION, STATE_OPTIONS, VERIFY_OPTIONS } from './options.js';
import { PublicKeys } from './public_keys.js';
import { Sender } from './sender.js';
import { Subscription } from './subscription.js';
import { verifyEnvelope } from './verify_envelope.js';

export function createClient(options) {
  const given = checkOptions('createClient()', options, CLIENT_OPTIONS);
  const { transports = [sse()], retry = {}, publicKeys, maxQueued = 100, ...connection } = given;
  checkArgument('createClient()', 'url', connection.url, ADDRESS);
  const http = new Http(connection);
  const readKeys = ({ fresh }) =>
    http.json('GET', '/.well-known/sealcast-keys', { answer: KEY_SET, session: false, cache: fresh ? 'no-store' : undefined });
  const keys = new PublicKeys(readKeys, publicKeys);
  const drivers = new Map(transports.map((driver) => [driver.name, driver]));
  const deliveries = new Map(); // stream id → the Delivery of each subscription
  const sender = new Sender(http, { retry, maxQueued, deliveries });
  const moderation = moderationOf(http);

  async function sendMessage(streamId, type, d, sendOptions = {}) {
    checkArgument('sendMessage()', 'streamId', streamId, TEXT);
    checkArgument('sendMessage()', 'type', type, TEXT);
    checkArgument('sendMessage()', 'd', d, OBJECT);
    return sender.send(streamId, type, d, checkOptions('sendMessage()', sendOptions, SEND_OPTIONS));
  }

  // A page may have been read before a redaction of which a subscription knows.
  async function messages(streamId, query = {}) {
    checkArgument('messages()', 'streamId', streamId, TEXT);
    const page = await history(streamId, query);
    for (const delivery of deliveries.get(streamId.toLowerCase()) ?? []) {
      page.messages = await delivery.withoutRedacted(page.messages);
    }
    return page;
  }

  async function history(streamId, query) {
    const { signal, ...parameters } = checkOptions('messages()', query, QUERY);
    const given = Object.entries(parameters).filter(([, value]) => value !== null);
    const path = `/streams/${encodeURIComponent(streamId)}/messages?${new URLSearchParams(given)}`;
    return http.json('GET', path, { answer: PAGE, streamId, signal });
  }

  async function state(streamId, stateOptions = {}) {
    checkArgument('state()', 'streamId', streamId, TEXT);
    const { signal, channel = 'public' } = checkOptions('state()', stateOptions, STATE_OPTIONS);
    const path = `/streams/${encodeURIComponent(streamId)}/state?channel=${channel}`;
    return http.json('GET', path, { answer: STATE, streamId, signal });
  }

  async function verify(envelope, verifyOptions = {}) {
    checkArgument('verify()', 'envelope', envelope, ENVELOPE);
    const { by = 'server', signal } = checkOptions('verify()', verifyOptions, VERIFY_OPTIONS);
    if (by === 'keys') return verifyEnvelope(envelope, keys);
    const body = typeof envelope === 'string' ? envelope : JSON.stringify(envelope);
    return (await http.json('POST', '/rpc/verify', { answer: VERDICT, body, session: false, signal })).result;
  }

  async function ticket(streamId, ticketOptions = {}) {
    checkArgument('ticket()', 'streamId', streamId, TEXT);
    const { signal } = checkOptions('ticket()', ticketOptions, SIGNAL_OPTION);
    return http.json('POST', `/streams/${encodeURIComponent(streamId)}/token`, { answer: TICKET, streamId, signal });
  }

  function subscribeStreamEvents(streamId, handler, subscribeOptions = {}) {
    const { rules } = moderation;
    return new Subscription({ http, drivers, history, state, ticket, verify, rules, deliveries }, streamId, handler, subscribeOptions);
  }

  return {
    sendMessage,
    messages,
    state,
    verify,
    ticket,
    subscribeStreamEvents,
    ...moderation,
    get region() {
      return http.region;
    },
  };
}

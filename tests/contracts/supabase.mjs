// Simulates Supabase Realtime's endpoint for one broadcast, POST /api/broadcast/{topic}/events/{event}, with its refusals.
// service.mjs describes how to start and control it. After https://github.com/supabase/realtime, 2.129.8: router, plugs,
// BroadcastSingleController, SingleBroadcast. The gateway's prefix /realtime/v1 is optional.
//
// A recorded message is {"event":…,"private":…,"payload":"the unchanged text of the body"}; its channel is the topic.
// Faults: "limited" also takes "message" (Realtime sends no Retry-After, but a gateway may). "forbidden" applies to private
// broadcasts. "suspended":true simulates a suspended project.
// --max-payload-kb is max_payload_size_in_kb of the project.
import { decodeSegment, json, mediaType, readOptions, Service } from './service.mjs';

const ROUTE = /^(?:\/realtime\/v1)?\/api\/broadcast\/([^/]+)\/events\/([^/]+)$/;
const MAX_BODY_BYTES = 8_000_000; // the limit of Plug.Parsers
const SIZE_PADDING = 500;

const options = readOptions({ 'max-payload-kb': { type: 'string', default: '3000' } });
const maxPayload = Number(options['max-payload-kb']) * 1000 + SIZE_PADDING;

function authorized({ apikey, authorization }) {
  if (apikey !== options.key) return false; // checked by the gateway
  if (options.key.startsWith('sb_')) return authorization === undefined; // such a key is not a JWT, so it must not be sent as one
  return authorization === undefined || authorization === `Bearer ${options.key}`;
}

function isObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value);
  } catch {
    return false;
  }
}

function handle({ method, path, query, headers, body, size }) {
  const route = ROUTE.exec(path);
  if (method !== 'POST' || !route) return json(404, { errors: { detail: 'Not Found' } });
  const [topic, event] = route.slice(1).map(decodeSegment);
  if (topic === undefined || event === undefined) return json(400, { errors: { detail: 'Bad Request' } });
  if (size > MAX_BODY_BYTES) return json(413, { errors: { detail: 'Request Entity Too Large' } });
  const text = body.toString('utf8');
  const type = mediaType(headers);
  if (type === 'application/json' && !isObject(text)) return json(400, { errors: { detail: 'Bad Request' } });
  if (type !== 'application/json') {
    return json(415, { error: 'Unsupported Media Type. Use application/json or application/octet-stream' });
  }
  if (!authorized(headers)) return json(401, { message: 'Unauthorized' });
  if (service.faults.suspended) return json(403, { message: 'Tenant is suspended' });
  if (size > maxPayload) return json(422, { errors: { payload: ['Payload size exceeds tenant limit'] } });
  service.record(topic, { event, private: isPrivate(query), payload: text });
  return { status: 202 };
}

const isPrivate = (query) => new URLSearchParams(query).get('private') === 'true';

const service = new Service(options, {
  handle,
  channelOf: (path) => decodeSegment(ROUTE.exec(path)?.[1] ?? ''),
  offsetOf: (message) => JSON.parse(message.payload).offset,
  refusals: {
    failed: () => json(500, { message: 'Unable to authorize broadcast' }),
    key: () => json(401, { message: 'Unauthorized' }),
    limited: ({ retry_after: after, message = 'Too many requests' }) =>
      json(429, { message }, { 'x-rate-limit-remaining': '0', ...(after && { 'Retry-After': String(after) }) }),
    forbidden: (_, { query }) => (isPrivate(query) ? json(403, { message: 'Unauthorized' }) : undefined),
  },
});
await service.start();

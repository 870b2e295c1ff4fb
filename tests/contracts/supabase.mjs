// Simulates Supabase Realtime's endpoints for broadcasts, with their refusals: POST /api/broadcast/{topic}/events/{event} for one
// broadcast, and POST /api/broadcast for several. The gateway's prefix /realtime/v1 is optional.
// service.mjs describes how to start and control it. Source: https://github.com/supabase/realtime, 2.129.8. The names in brackets
// are files below lib/; supabase_limits.mjs has the limits.
//
// A recorded message is {"event":…,"private":…,"payload":"the unchanged text of the body"}; its channel is the topic. A message of a
// batch has its own payload as text. A binary payload is {…,"binary":true}, in Base64.
// Faults: "limited" also takes "message" (Realtime sends no Retry-After, but a gateway may). "forbidden" applies to private
// broadcasts: no policy permits them. "suspended":true simulates a suspended project, "unknown_project":true a host name that
// belongs to no project.
// Commands: {"do":"readers","topic":T,"count":N} sets the number of readers of a topic. {"do":"load"} → {"requests_per_second":…,
// "events_per_second":…,"queries":…}; each private broadcast is one transaction in the project's database
// (realtime/tenants/authorization.ex, get_write_authorizations). {"do":"pass","ms":N} lets the time of the limits pass.
// --max-payload-kb is max_payload_size_in_kb of the project, --max-events-per-second its max_events_per_second. With
// --clock manual, the time of the limits passes only by {"do":"pass"}.
import { decodeSegment, json, mediaType, readOptions, Service } from './service.mjs';
import { Limits } from './supabase_limits.mjs';

const SINGLE = /^(?:\/realtime\/v1)?\/api\/broadcast\/([^/]+)\/events\/([^/]+)$/; // realtime_web/router.ex
const BATCH = /^(?:\/realtime\/v1)?\/api\/broadcast$/;
const MAX_BODY_BYTES = 8_000_000; // the limit of Plug.Parsers
const SIZE_PADDING = 500; // realtime/tenants.ex, validate_payload_size

const options = readOptions({
  'max-payload-kb': { type: 'string', default: '3000' },
  'max-events-per-second': { type: 'string', default: '1000000' },
  clock: { type: 'string', default: 'real' },
});
const maxPayload = Number(options['max-payload-kb']) * 1000 + SIZE_PADDING;
const limits = new Limits(Number(options['max-events-per-second']), options.clock === 'manual');
let queries = 0;

// The gateway checks `apikey`. realtime_web/plugs/auth_tenant.ex takes the token of `Authorization`, else of `apikey`.
function authorized({ apikey, authorization }) {
  if (apikey !== options.key) return false;
  if (options.key.startsWith('sb_')) return authorization === undefined; // such a key is not a JWT, so it must not be sent as one
  return authorization === undefined || authorization === `Bearer ${options.key}`;
}

// Plug.Parsers.JSON: an empty body is an empty object, and what is no object becomes the member _json. undefined: no JSON.
function parse(text) {
  if (text === '') return {};
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : { _json: value };
  } catch {
    return undefined;
  }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isPrivate = (query) => new URLSearchParams(query).get('private') === 'true'; // broadcast_single_controller.ex, parse_private

function handle({ method, path, query, headers, body, size }) {
  const single = SINGLE.exec(path);
  if (method !== 'POST' || !(single || BATCH.test(path))) return json(404, { errors: { detail: 'Not Found' } });
  const segments = single?.slice(1).map(decodeSegment) ?? [];
  if (segments.includes(undefined)) return json(400, { errors: { detail: 'Bad Request' } });
  if (size > MAX_BODY_BYTES) return json(413, { errors: { detail: 'Request Entity Too Large' } });
  const type = mediaType(headers) || 'application/json'; // realtime_web/plugs/validate_broadcast_content_type.ex
  const parameters = type === 'application/json' ? parse(body.toString('utf8')) : {};
  if (parameters === undefined) return json(400, { errors: { detail: 'Bad Request' } });
  if (single && !['application/json', 'application/octet-stream'].includes(type)) {
    return json(415, { error: 'Unsupported Media Type. Use application/json or application/octet-stream' });
  }
  if (service.faults.unknown_project) return json(401, { message: 'Tenant not found in database' }); // realtime_web/plugs/assign_tenant.ex
  limits.countRequest();
  const binary = type === 'application/octet-stream';
  const answer = single
    ? broadcast({ topic: segments[0], event: segments[1], private: isPrivate(query), body, size, binary }, headers)
    : broadcastBatch(parameters, headers);
  return { ...answer, headers: { ...answer.headers, ...limits.headers } };
}

// What both routes check first. Returns a refusal or undefined.
function refusal(headers, messages, isBatch) {
  const limited = limits.refusal(messages, isBatch);
  if (limited === 'Too many requests') return json(429, { message: limited }); // before the key is checked
  if (!authorized(headers)) return json(401, { message: 'Unauthorized' });
  if (service.faults.suspended) return json(403, { message: 'Tenant is suspended' });
  return limited && json(429, { message: limited });
}

// realtime/tenants/single_broadcast.ex
function broadcast({ topic, event, private: isPrivate, body, size, binary }, headers) {
  const refused = refusal(headers, 1, false);
  if (refused) return refused;
  if (size > maxPayload) return json(422, { errors: { payload: ['Payload size exceeds tenant limit'] } });
  const payload = body.toString(binary ? 'base64' : 'utf8');
  publish(topic, { event, private: isPrivate, payload, ...(binary && { binary }) });
  return { status: 202 };
}

// realtime/tenants/batch_broadcast.ex. Private messages that no policy permits are dropped, and the answer is 202 all the same.
function broadcastBatch({ messages }, headers) {
  const list = Array.isArray(messages) ? messages : [];
  const refused = refusal(headers, list.length, true);
  if (refused) return refused;
  const errors = list.length === 0 ? ["can't be blank"] : list.map(problemsOf);
  if (errors.some((problems) => typeof problems === 'string' || Object.keys(problems).length > 0)) return json(422, { errors: { messages: errors } });
  for (const { topic, event, payload, private: isPrivate = false } of list) {
    if (isPrivate && service.faults.forbidden?.includes(topic)) continue;
    publish(topic, { event, private: isPrivate, payload: JSON.stringify(payload) });
  }
  return { status: 202 };
}

// realtime/tenants/batch_broadcast.ex, message_changeset
function problemsOf({ topic, event, payload }) {
  const problems = {};
  if (typeof topic !== 'string' || topic === '') problems.topic = ["can't be blank"];
  if (typeof event !== 'string' || event === '') problems.event = ["can't be blank"];
  if (payload === undefined || payload === null) problems.payload = ["can't be blank"];
  else if (!isObject(payload)) problems.payload = ['is invalid'];
  else if (Buffer.byteLength(JSON.stringify(payload)) > maxPayload) problems.payload = ['Payload size exceeds tenant limit'];
  return problems;
}

function publish(topic, message) {
  if (message.private) queries++;
  limits.countBroadcast(topic);
  service.record(topic, message);
}

const service = new Service(options, {
  handle,
  channelOf: (path) => decodeSegment(SINGLE.exec(path)?.[1] ?? ''),
  offsetOf: (message) => JSON.parse(message.payload).offset,
  commands: {
    readers({ topic, count }) {
      limits.setReaders(topic, count);
      return {};
    },
    pass({ ms }) {
      limits.pass(ms);
      return {};
    },
    load: () => ({ ...limits.load, queries }),
  },
  refusals: {
    failed: () => json(500, { message: 'Unable to authorize broadcast' }), // realtime/tenants/single_broadcast.ex
    key: () => json(401, { message: 'Unauthorized' }), // realtime_web/plugs/auth_tenant.ex
    limited: ({ retry_after: after, message = 'Too many requests' }) =>
      json(429, { message }, { ...limits.headers, 'x-rate-limit-remaining': '0', ...(after && { 'Retry-After': String(after) }) }),
    // realtime/tenants/single_broadcast.ex
    forbidden: (_, { query }) => (isPrivate(query) ? json(403, { message: 'Unauthorized' }) : undefined),
  },
});
await service.start();

// Simulates LiveKit's RoomService/ListRooms and its Egress methods StartRoomCompositeEgress, ListEgress and StopEgress over Twirp,
// with their refusals. service.mjs describes how to start and control it. It does what the sources do: livekit/livekit at 788d4c3 and
// livekit/protocol at d74e7cd; each check names its file. livekit_egress.mjs is the egress service.
//
// --key is API_KEY:SECRET. More commands:
//   {"do":"rooms","rooms":{"name":N,…}}    → {} sets the rooms. N: the number of viewers, beside one publisher; or an object
//                                            {"participants":n,"publishers":n}. With "style":"camelCase" the answer has names in
//                                            camelCase and omits default values, as protobuf's JSON may
//   {"do":"asked"}                         → {"names":[…]} returns the names that the last request of ListRooms had
//   {"do":"egresses"}                      → {"egresses":[…]} returns all egresses ever started
//   {"do":"lag","start_ms":N,"end_ms":N}   → {} how long an egress takes to start and to end
//   {"do":"workers","gone":true}           → {} no egress service answers from now on
// The fault "limited" answers resource_exhausted, as a proxy of LiveKit Cloud may; livekit/livekit has no such limit.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { EgressService } from './livekit_egress.mjs';
import { camelCase, readRequest } from './livekit_proto.mjs';
import { json, mediaType, readOptions, Service } from './service.mjs';

const LEEWAY_S = 60; // livekit/protocol auth/verifier.go
const MAX_BODY = 10 * 1024 * 1024; // livekit/livekit pkg/config/config.go, max_api_request_body_size

const options = readOptions();
const egress = new EgressService();
let rooms = {};
let style;
let asked; // the names in the last request of ListRooms

// twitchtv/twirp errors.go at v8.1.3, ServerHTTPStatusFromErrorCode(). The content type is exactly this one: LiveKit's SDKs read an
// error as JSON only then.
const STATUS = {
  bad_route: 404, malformed: 400, invalid_argument: 400, not_found: 404, unauthenticated: 401, failed_precondition: 412,
  resource_exhausted: 429, deadline_exceeded: 408, unavailable: 503, internal: 500,
};
const refuse = (code, msg, meta) => json(STATUS[code], { code, msg, meta }, { 'Content-Type': 'application/json' });
// livekit/livekit pkg/service/utils.go, HandleError()
const plain = (status, body) => ({ status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body });

function decode(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}

// The middleware of livekit/livekit pkg/service/auth.go, before any path: returns {claims} or {refusal}. A request without a token
// passes it, and then lacks its grant.
function authenticate({ authorization }, query = '') {
  if (authorization !== undefined && !authorization.startsWith('Bearer ')) {
    return { refusal: plain(401, 'invalid authorization header. Must start with Bearer ') };
  }
  const token = authorization?.slice('Bearer '.length) ?? new URLSearchParams(query).get('access_token');
  if (!token) return {};
  const parts = token.split('.');
  const [header, claims] = parts.slice(0, 2).map(decode);
  if (parts.length !== 3 || !header?.alg || !claims) return { refusal: plain(401, 'invalid authorization token') };
  const [apiKey, secret] = options.key.split(':');
  if (claims.iss !== apiKey) return { refusal: plain(401, 'invalid API key') };
  const problem = tokenProblem(parts, header, claims, secret);
  return problem ? { refusal: plain(401, `invalid authorization token: ${problem}`) } : { claims };
}

// livekit/protocol auth/verifier.go, Verify(), with the texts of golang-jwt/jwt v5 errors.go. There is no limit for the lifetime: the
// SDKs use 10 minutes for a server and 6 hours for a participant.
function tokenProblem(parts, header, claims, secret) {
  if (header.alg !== 'HS256') return `token signature is invalid: signing method ${header.alg} is invalid`;
  const want = createHmac('sha256', secret).update(`${parts[0]}.${parts[1]}`).digest();
  const got = Buffer.from(parts[2], 'base64url');
  if (got.length !== want.length || !timingSafeEqual(got, want)) return 'token signature is invalid: signature is invalid';
  const now = Date.now() / 1000;
  if (typeof claims.exp !== 'number') return 'token has invalid claims: token is missing required claim: exp claim is required';
  if (claims.exp + LEEWAY_S <= now) return 'token has invalid claims: token is expired';
  if (claims.nbf > now + LEEWAY_S) return 'token has invalid claims: token is not valid yet';
  return undefined;
}

// livekit/protocol protobufs/livekit_models.proto, Room. In protobuf's JSON, 64-bit integers are strings and 32-bit integers are
// numbers.
function describe([name, counts]) {
  const { participants, publishers } = typeof counts === 'number' ? { participants: counts + 1, publishers: 1 } : counts;
  const room = {
    sid: `RM_${name}`,
    name,
    empty_timeout: 300,
    departure_timeout: 20,
    max_participants: 0,
    creation_time: '1700000000',
    creation_time_ms: '1700000000123',
    turn_password: '',
    enabled_codecs: [{ mime: 'video/VP8', fmtp_line: '' }],
    metadata: '',
    num_participants: participants,
    num_publishers: publishers,
    active_recording: false,
    version: null,
  };
  if (style !== 'camelCase') return room;
  const given = Object.entries(room).filter(([, value]) => value || value === undefined);
  return Object.fromEntries(given.map(([member, value]) => [camelCase(member), value]));
}

// livekit/livekit pkg/service/redisstore.go, ListRooms(): without names all rooms, else the rooms that exist, in the order of names.
function listRooms({ names }) {
  asked = names;
  const listed = names.length === 0 ? Object.entries(rooms) : names.filter((name) => Object.hasOwn(rooms, name)).map((name) => [name, rooms[name]]);
  return style === 'camelCase' && listed.length === 0 ? {} : { rooms: listed.map(describe) };
}

// For each service and method: the grant that its token needs (pkg/service/auth.go) and its function.
const SERVICES = {
  'livekit.RoomService': { ListRooms: ['roomList', listRooms] },
  'livekit.Egress': {
    StartRoomCompositeEgress: ['roomRecord', (request) => egress.start(request, rooms)],
    ListEgress: ['roomRecord', (request) => egress.list(request)],
    StopEgress: ['roomRecord', (request) => egress.stop(request)],
  },
};

// livekit/livekit pkg/service/server.go for the order of the middleware; livekit/protocol livekit/livekit_room.twirp.go, ServeHTTP()
// and serveListRoomsJSON(), for Twirp. The body is decoded before the grant is checked.
function handle({ method, path, query, headers, body, size }) {
  if (size > MAX_BODY) return plain(413, 'request body too large');
  const { refusal, claims } = authenticate(headers, query);
  if (refusal) return refusal;
  const [, service, name] = /^\/twirp\/([^/]+)\/([^/]*)$/.exec(path.replace(/^\/\//, '/')) ?? [];
  if (!Object.hasOwn(SERVICES, service ?? '')) return plain(404, '404 page not found\n');
  const badRoute = (msg) => refuse('bad_route', msg, { twirp_invalid_route: `${method} ${path}` });
  if (method !== 'POST') return badRoute(`unsupported method "${method}" (only POST is allowed)`);
  if (!Object.hasOwn(SERVICES[service], name)) return badRoute(`no handler for path "${path}"`);
  if (mediaType(headers) !== 'application/json') return badRoute(`unexpected Content-Type: "${headers['content-type'] ?? ''}"`);
  const request = readRequest(name, body);
  if (!request) return refuse('malformed', 'the json request could not be decoded');
  const [grant, act] = SERVICES[service][name];
  if (claims?.video?.[grant] !== true) return refuse('unauthenticated', 'permissions denied');
  const result = act(request);
  if (result.refusal) return refuse(...result.refusal);
  return json(200, result.egress ?? result, { 'Content-Type': 'application/json' });
}

const service = new Service(options, {
  handle,
  channelOf: () => undefined,
  commands: {
    asked: () => ({ names: asked }),
    egresses: () => ({ egresses: egress.all }),
    rooms(command) {
      ({ rooms, style } = command);
      return {};
    },
    lag(lag) {
      egress.lag = lag;
      return {};
    },
    workers({ gone }) {
      egress.workersGone = gone;
      return {};
    },
  },
  refusals: {
    failed: () => refuse('internal', 'internal error'),
    key: () => plain(401, 'invalid API key'),
    limited: ({ retry_after: after }) => {
      const reply = refuse('resource_exhausted', 'slow down');
      return after ? { ...reply, headers: { ...reply.headers, 'Retry-After': String(after) } } : reply;
    },
  },
});
await service.start();

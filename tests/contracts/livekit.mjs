// Simulates LiveKit's RoomService/ListRooms and its Egress methods StartRoomCompositeEgress, ListEgress and StopEgress over Twirp,
// with their refusals. service.mjs describes how to start and control it.
// https://docs.livekit.io/reference/other/roomservice-api/, https://docs.livekit.io/reference/other/egress/api/,
// https://docs.livekit.io/frontends/authentication/tokens/,
// https://twitchtv.github.io/twirp/docs/spec_v7.html, https://protobuf.dev/programming-guides/json/
//
// --key is API_KEY:SECRET. Two more commands: {"do":"rooms","rooms":{"name":participants,…}} → {} sets the rooms. With
// "style":"camelCase" the answer has names in camelCase and omits default values, as protobuf's JSON may.
// {"do":"egresses"} → {"egresses":[…]} returns all egresses ever started. The fault "limited" answers resource_exhausted.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { json, mediaType, readOptions, Service } from './service.mjs';

const MAX_TOKEN_LIFETIME_S = 3600; // a longer lifetime of a server's token is a mistake

const options = readOptions();
let rooms = {};
let style;
const egresses = [];

const refuse = (status, code, msg, headers) => json(status, { code, msg }, headers);
const unauthenticated = (msg) => refuse(401, 'unauthenticated', msg);

function decode(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}

// The problem of an access token, or undefined when it is valid.
function tokenProblem(authorization = '', grant) {
  const [, token] = /^Bearer ([\w.-]+)$/.exec(authorization) ?? [];
  const parts = token?.split('.') ?? [];
  if (parts.length !== 3) return 'no access token';
  const [apiKey, secret] = options.key.split(':');
  const [header, claims] = parts.slice(0, 2).map(decode);
  if (header?.alg !== 'HS256') return 'unexpected algorithm';
  const want = createHmac('sha256', secret).update(`${parts[0]}.${parts[1]}`).digest();
  const got = Buffer.from(parts[2], 'base64url');
  if (got.length !== want.length || !timingSafeEqual(got, want)) return 'invalid signature';
  if (claims?.iss !== apiKey) return 'invalid API key';
  const now = Date.now() / 1000;
  if (!(claims.exp > now)) return 'token is expired';
  if (claims.exp > now + MAX_TOKEN_LIFETIME_S) return 'token lives too long';
  if (claims.nbf !== undefined && claims.nbf > now) return 'token is not valid yet';
  if (claims.video?.[grant] !== true) return 'permissions denied';
  return undefined;
}

// In protobuf's JSON, 64-bit integers are strings and 32-bit integers are numbers.
function describe([name, participants], index) {
  const room = {
    sid: `RM_${index}`,
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
    num_publishers: 1,
    active_recording: false,
    version: null,
  };
  if (style !== 'camelCase') return room;
  const camel = (text) => text.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  const given = Object.entries(room).filter(([, value]) => value || value === undefined);
  return Object.fromEntries(given.map(([member, value]) => [camel(member), value]));
}

const isEnded = ({ status }) => status === 'EGRESS_COMPLETE';

function listRooms({ names }) {
  const listed = Object.entries(rooms).filter(([name]) => !names?.length || names.includes(name));
  return json(200, style === 'camelCase' && listed.length === 0 ? {} : { rooms: listed.map(describe) });
}

function startEgress({ room_name: room, segment_outputs: outputs }) {
  if (!room) return refuse(400, 'invalid_argument', 'missing room name');
  if (!outputs?.length) return refuse(400, 'invalid_argument', 'missing output');
  const egress = { egress_id: `EG_${egresses.length}`, room_name: room, status: 'EGRESS_ACTIVE', segment_outputs: outputs };
  egresses.push(egress);
  return json(200, egress);
}

function listEgress({ room_name: room, active }) {
  return json(200, { items: egresses.filter((e) => (!room || e.room_name === room) && !(active && isEnded(e))) });
}

function stopEgress({ egress_id: id }) {
  const egress = egresses.find((e) => e.egress_id === id);
  if (!egress) return refuse(404, 'not_found', 'egress does not exist');
  if (isEnded(egress)) return refuse(412, 'failed_precondition', 'egress has ended');
  egress.status = 'EGRESS_COMPLETE';
  return json(200, egress);
}

// For each method: the grant that its token needs, the members of its request, and its function.
const METHODS = {
  '/twirp/livekit.RoomService/ListRooms': ['roomList', ['names'], listRooms],
  '/twirp/livekit.Egress/StartRoomCompositeEgress': ['roomRecord', ['room_name', 'layout', 'segment_outputs'], startEgress],
  '/twirp/livekit.Egress/ListEgress': ['roomRecord', ['room_name', 'active'], listEgress],
  '/twirp/livekit.Egress/StopEgress': ['roomRecord', ['egress_id'], stopEgress],
};

function handle({ method, path, query, headers, body }) {
  if (!METHODS[path] || query !== undefined) return refuse(404, 'bad_route', `no handler for path "${path}"`);
  if (method !== 'POST') return refuse(404, 'bad_route', `unsupported method "${method}" (only POST is allowed)`);
  if (mediaType(headers) !== 'application/json') return refuse(404, 'bad_route', 'unexpected Content-Type');
  const [grant, members, act] = METHODS[path];
  const problem = tokenProblem(headers.authorization, grant);
  if (problem) return unauthenticated(problem);
  let request;
  try {
    request = JSON.parse(body.toString('utf8'));
  } catch {
    return refuse(400, 'malformed', 'the json request could not be decoded');
  }
  if (Object.keys(request).some((member) => !members.includes(member))) return refuse(400, 'malformed', 'unknown field');
  return act(request);
}

const service = new Service(options, {
  handle,
  channelOf: () => undefined,
  commands: {
    egresses: () => ({ egresses }),
    rooms(command) {
      ({ rooms, style } = command);
      return {};
    },
  },
  refusals: {
    failed: () => refuse(500, 'internal', 'internal error'),
    key: () => unauthenticated('invalid API key'),
    limited: ({ retry_after: after }) => refuse(429, 'resource_exhausted', 'slow down', after && { 'Retry-After': String(after) }),
  },
});
await service.start();

// LiveKit's RoomService/ListRooms over Twirp, as it refuses and answers; service.mjs says how to start and control it.
// https://docs.livekit.io/reference/other/roomservice-api/, https://docs.livekit.io/frontends/authentication/tokens/,
// https://twitchtv.github.io/twirp/docs/spec_v7.html, https://protobuf.dev/programming-guides/json/
//
// --key is API_KEY:SECRET. One more command: {"do":"rooms","rooms":{"name":participants,…}} → {} the rooms there are;
// with "style":"camelCase", the answer has names in camelCase and leaves defaults out, as protobuf's JSON may.
// Fault "limited": resource_exhausted.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { json, mediaType, readOptions, Service } from './service.mjs';

const ROUTE = '/twirp/livekit.RoomService/ListRooms';
const LONGEST_TOKEN_S = 3600; // a token for servers that lives longer than that is a mistake

const options = readOptions();
const [apiKey, secret] = options.key.split(':');
let rooms = {};
let style;

const refuse = (status, code, msg, headers) => json(status, { code, msg }, headers);
const unauthenticated = (msg) => refuse(401, 'unauthenticated', msg);

function decode(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}

// What is wrong with the access token; undefined when nothing is.
function tokenProblem(authorization = '') {
  const [, token] = /^Bearer ([\w.-]+)$/.exec(authorization) ?? [];
  const parts = token?.split('.') ?? [];
  if (parts.length !== 3) return 'no access token';
  const [header, claims] = parts.slice(0, 2).map(decode);
  if (header?.alg !== 'HS256') return 'unexpected algorithm';
  const want = createHmac('sha256', secret).update(`${parts[0]}.${parts[1]}`).digest();
  const got = Buffer.from(parts[2], 'base64url');
  if (got.length !== want.length || !timingSafeEqual(got, want)) return 'invalid signature';
  if (claims?.iss !== apiKey) return 'invalid API key';
  const now = Date.now() / 1000;
  if (!(claims.exp > now)) return 'token is expired';
  if (claims.exp > now + LONGEST_TOKEN_S) return 'token lives too long';
  if (claims.nbf !== undefined && claims.nbf > now) return 'token is not valid yet';
  if (claims.video?.roomList !== true) return 'permissions denied';
  return undefined;
}

// 64-bit integers are strings, 32-bit ones numbers.
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

function handle({ method, path, query, headers, body }) {
  if (path !== ROUTE || query !== undefined) return refuse(404, 'bad_route', `no handler for path "${path}"`);
  if (method !== 'POST') return refuse(404, 'bad_route', `unsupported method "${method}" (only POST is allowed)`);
  if (mediaType(headers) !== 'application/json') return refuse(404, 'bad_route', 'unexpected Content-Type');
  const problem = tokenProblem(headers.authorization);
  if (problem) return unauthenticated(problem);
  let request;
  try {
    request = JSON.parse(body.toString('utf8'));
  } catch {
    return refuse(400, 'malformed', 'the json request could not be decoded');
  }
  if (Object.keys(request).some((member) => member !== 'names')) return refuse(400, 'malformed', 'unknown field');
  const listed = Object.entries(rooms).filter(([name]) => !request.names?.length || request.names.includes(name));
  return json(200, style === 'camelCase' && listed.length === 0 ? {} : { rooms: listed.map(describe) });
}

const service = new Service(options, {
  handle,
  channelOf: () => undefined,
  commands: {
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

// Reads and writes protobuf's JSON as LiveKit's server does (https://protobuf.dev/programming-guides/json/): generated Twirp code,
// livekit/protocol livekit/livekit_room.twirp.go, which unmarshals with DiscardUnknown, and marshals with UseProtoNames and
// EmitUnpopulated.
//
// A message is an object from its field names to their types. Its fields are those of livekit/protocol
// protobufs/livekit_room.proto and protobufs/livekit_egress.proto that the simulation uses.

class Malformed extends Error {}

const check = (type, initial) => (value) => {
  if (value === null || value === undefined) return initial;
  if (typeof value !== type) throw new Malformed();
  return value;
};

const string = check('string', '');
const bool = check('boolean', false);
const enumeration = (value) => (typeof value === 'number' ? value : check('string', '')(value));
const anything = (value) => value ?? undefined; // a message that the simulation does not read

function uint32(value) {
  const number = typeof value === 'string' && value !== '' ? Number(value) : (value ?? 0);
  if (!Number.isInteger(number) || number < 0 || number > 0xffffffff) throw new Malformed();
  return number;
}

function list(type) {
  return (value) => {
    if (value === null || value === undefined) return [];
    if (!Array.isArray(value) || value.includes(null)) throw new Malformed();
    return value.map(type);
  };
}

export const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

// A field may have its name or the same in camelCase, but not both.
const message = (fields) => (value) => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Malformed();
  const read = {};
  for (const [name, type] of Object.entries(fields)) {
    const given = [...new Set([name, camelCase(name)])].filter((each) => Object.hasOwn(value, each));
    if (given.length > 1) throw new Malformed();
    read[name] = type(value[given[0]]);
  }
  return read;
};
const optional = (type) => (value) => (value === null || value === undefined ? undefined : type(value));

const s3 = optional(
  message({
    access_key: string, secret: string, session_token: string, assume_role_arn: string, assume_role_external_id: string, region: string,
    endpoint: string, bucket: string, force_path_style: bool, metadata: anything, tagging: string, content_disposition: string, proxy: anything,
  }),
);
const segments = message({
  protocol: enumeration, filename_prefix: string, playlist_name: string, live_playlist_name: string, segment_duration: uint32,
  filename_suffix: enumeration, disable_manifest: bool, s3, gcp: anything, azure: anything, aliOSS: anything,
});

export const REQUESTS = {
  ListRooms: message({ names: list(string) }),
  ListEgress: message({ room_name: string, egress_id: string, active: bool, page_token: anything }),
  StopEgress: message({ egress_id: string }),
  StartRoomCompositeEgress: message({
    room_name: string, layout: string, audio_only: bool, audio_mixing: enumeration, video_only: bool, custom_base_url: string,
    file: anything, stream: anything, segments: optional(segments), preset: anything, advanced: anything,
    file_outputs: list(anything), stream_outputs: list(anything), segment_outputs: list(segments), image_outputs: list(anything),
    webhooks: list(anything),
  }),
};

// Returns the request with all fields in snake_case; undefined if `body` is not such a message.
export function readRequest(method, body) {
  try {
    return REQUESTS[method](JSON.parse(body.toString('utf8')));
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

// Simulates the egress service behind LiveKit, for room composites with segments. What it accepts and which states an egress goes
// through are those of livekit/egress at e948d1e and livekit/livekit at 788d4c3; each check names its file.
const isEnded = ({ status }) => !['EGRESS_STARTING', 'EGRESS_ACTIVE', 'EGRESS_ENDING'].includes(status);

// livekit/egress pkg/errors/errors.go
const invalid = (field) => ({ refusal: ['invalid_argument', `request has missing or invalid field: ${field}`] });

// livekit/egress pkg/config/output_segment.go, updatePrefixAndPlaylist(): the place of the playlists. `time` is {time}.
function placeOf({ filename_prefix: prefix, playlist_name: playlist, live_playlist_name: live }, room, time) {
  const split = (path) => {
    const filled = path.replaceAll('{room_name}', room).replaceAll('{time}', time);
    return [filled.slice(0, filled.lastIndexOf('/') + 1), filled.slice(filled.lastIndexOf('/') + 1).replace(/\.m3u8$/, '')];
  };
  const [playlistFolder, playlistName] = split(playlist);
  const [liveFolder, liveName] = split(live);
  const [segmentFolder, segmentName] = split(prefix);
  if (liveFolder && liveFolder !== playlistFolder) return invalid('live_playlist_name must be in same directory as playlist_name');
  const folder = playlistFolder || segmentFolder;
  const name = playlistName || segmentName || `${room}-${time}`;
  if (name === liveName) return invalid('live_playlist_name cannot be identical to playlist_name');
  return { playlist_name: `${folder}${name}.m3u8`, live_playlist_name: liveName ? `${folder}${liveName}.m3u8` : '' };
}

// livekit/protocol egress/redact.go, RedactUpload(); utils/redact.go
function redacted(s3) {
  const hidden = Object.entries({ access_key: '{access_key}', secret: '{secret}', session_token: '{session_token}' });
  return s3 && { ...s3, ...Object.fromEntries(hidden.map(([name, text]) => [name, s3[name] && text])) };
}

export class EgressService {
  // How long an egress takes from the request to its first segment, and from StopEgress to the end of its uploads.
  lag = { start_ms: 200, end_ms: 200 };
  workersGone = false; // true: no egress service answers; the states stay as they are
  #all = [];

  get all() {
    return this.#all;
  }

  // livekit/livekit pkg/service/egress.go, egressLauncher.StartEgress(), which loads the room first; then livekit/egress
  // pkg/server/server_rpc.go and pkg/config/pipeline.go, Update().
  start(request, rooms) {
    const { room_name: room, audio_only: audioOnly, video_only: videoOnly } = request;
    if (room && !Object.hasOwn(rooms, room)) return { refusal: ['not_found', 'requested room does not exist'] };
    if (this.workersGone) return { refusal: ['unavailable', 'no response from servers'] };
    if (audioOnly && videoOnly) return invalid('audio_only and video_only');
    if (request.segment_outputs.length > 1) return invalid('multiple segmented file outputs');
    const [segments = request.segments] = request.segment_outputs;
    const others = [request.file, request.stream, ...request.file_outputs, ...request.stream_outputs, ...request.image_outputs];
    if (!segments && !others.some((output) => output)) return invalid('output');
    const now = new Date();
    const place = segments && placeOf(segments, room, now.toISOString().slice(0, 19).replace(/:/g, ''));
    if (place?.refusal) return place;
    if (!room) return invalid('token or api key/secret');
    const egress = {
      egress_id: `EG_${this.#all.length}`,
      room_id: `RM_${room}`,
      room_name: room,
      source_type: 'EGRESS_SOURCE_TYPE_WEB',
      status: 'EGRESS_STARTING',
      started_at: String(now.getTime() * 1e6),
      ended_at: '0',
      updated_at: String(now.getTime() * 1e6),
      room_composite: { ...request, segment_outputs: request.segment_outputs.map((output) => ({ ...output, s3: redacted(output.s3) })) },
      segment_results: place ? [place] : [],
      error: '',
      error_code: 0,
      details: '',
    };
    this.#all.push(egress);
    setTimeout(() => egress.status === 'EGRESS_STARTING' && this.#change(egress, 'EGRESS_ACTIVE'), this.lag.start_ms);
    return { egress };
  }

  // livekit/livekit pkg/service/ioservice.go and redisstore.go, ListEgress(): active are starting, active and ending ones. With an
  // egress_id, the other filters do not count.
  list({ room_name: room, egress_id: id, active }) {
    if (id) {
      const egress = this.#find(id);
      return egress ? { items: [egress] } : { refusal: ['not_found', 'egress does not exist'] };
    }
    return { items: this.#all.filter((e) => (!room || e.room_name === room) && !(active && isEnded(e))) };
  }

  // livekit/livekit pkg/service/egress.go, StopEgress(). The handler of an egress answers until its process ends, also a second
  // time (livekit/egress pkg/handler/handler_rpc.go; pkg/pipeline/controller.go, SendEOS()). Without a handler, the state in the
  // store decides on the refusal.
  stop({ egress_id: id }) {
    const egress = this.#find(id);
    if (!egress) return { refusal: ['not_found', 'egress does not exist'] };
    if (this.workersGone || isEnded(egress)) {
      if (['EGRESS_STARTING', 'EGRESS_ACTIVE'].includes(egress.status)) return { refusal: ['deadline_exceeded', 'request timed out'] };
      return { refusal: ['failed_precondition', `egress with status ${egress.status} cannot be stopped`] };
    }
    egress.details ||= 'End reason: StopEgress API';
    if (egress.status === 'EGRESS_STARTING') {
      this.#change(egress, 'EGRESS_ABORTED');
      Object.assign(egress, { error: 'Stop called before pipeline could start', error_code: 412 });
    } else if (egress.status === 'EGRESS_ACTIVE') {
      this.#change(egress, 'EGRESS_ENDING');
      setTimeout(() => this.#change(egress, 'EGRESS_COMPLETE'), this.lag.end_ms);
    }
    return { egress };
  }

  #find(id) {
    return this.#all.find((e) => e.egress_id === id);
  }

  #change(egress, status) {
    if (this.workersGone) return;
    const now = String(Date.now() * 1e6);
    Object.assign(egress, { status, updated_at: now });
    if (isEnded(egress)) egress.ended_at = now;
  }
}

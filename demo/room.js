// The demo room: two users of one stream, what the system says of it, and the transport that it goes over.
import { EnvelopePanel } from './envelope_panel.js';
import { Migration } from './migration.js';
import { Pane } from './pane.js';
import { openSession, post } from './session.js';
import { offerTrials } from './trials.js';

const HEARTBEAT_MS = 10_000;
const OVERLAP_MS = 1500;
const HISTORY = 500; // messages

const byId = (id) => document.getElementById(id);

const session = await openSession();
if (session) await openRoom(session);
else connection('lost', 'There is no demo session: start the room with make run or docker compose up.');

async function openRoom({ streamId, owner, guest, hasBroker }) {
  const names = new Map([owner, guest].map(({ id, name }) => [id, name]));
  const nameOf = (id) => names.get(id) ?? `User ${id.slice(-4)}`;
  const panel = new EnvelopePanel(guest.client);
  const shared = { streamId, nameOf, openEnvelope: (offset, envelope) => panel.open(offset, envelope) };
  const panes = [new Pane(byId('owner'), owner, shared), new Pane(byId('guest'), guest, shared)];
  offerTrials(byId('guest'), { streamId, owner, guest });

  const history = await readHistory(owner.client, streamId);
  const last = (type) => history.messages.findLast(({ envelope }) => envelope.t === type)?.envelope.d;
  showTraffic(last('sampling_update'));

  const migration = new Migration(panes, { hasBroker, request: (target) => migrate(owner, streamId, target) });
  let heard = history.last; // both panes bring each message
  const onFrame = ({ offset, envelope: { t, d } }) => {
    if (offset <= heard) return;
    heard = offset;
    if (t === 'viewer_count_update') byId('viewers').textContent = d.total ?? '–'; // null while nobody can say
    if (t === 'sampling_update') showTraffic(d);
    if (t === 'transport_migrate') migration.announced(d.target);
  };
  const told = {
    onFrame,
    onStatus: () => showConnection(panes),
    onTransport: () => migration.show(),
    onError: (error) => migration.failed(error),
  };
  const transport = hasBroker ? last('transport_migrate')?.target : undefined;
  for (const pane of panes) pane.begin(history, transport === 'mqtt' ? 'mqtt' : 'sse', told);
  migration.show();
  for (let viewer = 0; viewer < panes.length; viewer++) beHeard(streamId);
}

async function readHistory(client, streamId) {
  for (;;) {
    try {
      return await client.messages(streamId, { limit: HISTORY });
    } catch (error) {
      connection('lost', `No answer (${error.code}), trying again…`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function migrate(owner, streamId, target) {
  return owner.post('rpc/migrate_transport', { stream_id: streamId, target, overlap_ms: OVERLAP_MS });
}

// Says that somebody watches; what does not arrive is said again.
function beHeard(streamId) {
  const viewer = { viewer_id: crypto.randomUUID() };
  const beat = () => post(`streams/${streamId}/heartbeat`, viewer).catch(() => {});
  beat();
  setInterval(beat, HEARTBEAT_MS);
}

function connection(state, text) {
  byId('connection').dataset.state = state;
  byId('connection').textContent = text;
}

function showConnection(panes) {
  const worseThanLive = ['failed', 'closed', 'reconnecting', 'connecting'];
  const worst = worseThanLive.find((status) => panes.some((pane) => pane.status === status));
  if (!worst) connection('live', 'Live');
  else if (worst === 'connecting') connection('connecting', 'Connecting…');
  else if (worst === 'reconnecting') connection('lost', 'Connection lost, trying again…');
  else connection('lost', 'The connection has ended; load the page again.');
}

function showTraffic(sampling) {
  byId('traffic').textContent = sampling?.active ? `High traffic: showing ${sampling.rate} %` : '';
}

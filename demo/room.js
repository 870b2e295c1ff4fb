// The demo room: shows two users of one stream, the viewer count, the traffic badge, and the transport in use.
import { EnvelopePanel } from './envelope_panel.js';
import { HeldPanel } from './held_panel.js';
import { Migration } from './migration.js';
import { ModeratorBar } from './moderator_bar.js';
import { Pane } from './pane.js';
import { ReportForm } from './report_form.js';
import { ReportsPanel } from './reports_panel.js';
import { openSession, post } from './session.js';
import { offerTrials } from './trials.js';

const HEARTBEAT_MS = 10_000;
const OVERLAP_MS = 1500;
const HISTORY = 500; // messages

const byId = (id) => document.getElementById(id);

const session = await openSession();
if (session) await openRoom(session);
else connection('lost', 'The server has no demo.json. Start the demo with make run or docker compose up.');

async function openRoom({ streamId, owner, guest, viewer, hasBroker }) {
  const names = new Map([owner, guest, viewer].map(({ id, name }) => [id, name]));
  const nameOf = (id) => names.get(id) ?? `User ${id.slice(-4)}`;
  const panel = new EnvelopePanel(guest.client);
  const reportForm = new ReportForm();
  const shared = {
    streamId,
    nameOf,
    openEnvelope: (offset, envelope) => panel.open(offset, envelope),
    askForReport: (name, content) => reportForm.ask(name, content),
    onHeld: () => held.refresh(),
  };
  const held = new HeldPanel(owner, shared);
  const reports = new ReportsPanel(owner, shared);
  const panes = [new Pane(byId('owner'), owner, shared), new Pane(byId('guest'), guest, shared)];
  const [ofOwner, ofGuest] = panes;
  const bar = new ModeratorBar(byId('owner'), owner, streamId);
  offerTrials(byId('guest'), { streamId, owner, guest, viewer, composer: ofGuest.composer, onReport: () => reports.refresh() });
  for (const id of ['for-operators', 'for-visitors']) byId(id).hidden = owner.hasSession;

  const history = await untilAnswered(() => owner.client.messages(streamId, { limit: HISTORY }));
  // What holds now may be older than this page of the history. A change after it comes as a frame.
  const state = await untilAnswered(() => owner.client.state(streamId));
  const current = (type) => state.messages.find(({ envelope }) => envelope.t === type)?.envelope.d;
  showTraffic(current('sampling_update'));
  showViewers(current('viewer_count_update'));

  const disabled = !hasBroker ? 'This server has no MQTT broker, so the stream cannot move.' : owner.whyNot && 'Only Ada can move the stream.';
  const migration = new Migration(panes, { disabled, request: (target) => migrate(owner, streamId, target) });
  let newest = history.last; // skips the second copy of each message, since both panes bring it
  const onFrame = ({ offset, envelope: { t, d } }) => {
    if (offset <= newest) return;
    newest = offset;
    if (!d) return; // the content was redacted
    if (t === 'viewer_count_update') showViewers(d);
    if (t === 'sampling_update') showTraffic(d);
    if (t === 'transport_migrate') migration.announced(d.target);
  };
  const callbacks = {
    onFrame,
    onRules: (pane, rules) => {
      for (const part of pane === ofOwner ? [bar, held] : [ofGuest]) part.showRules(rules);
    },
    onStatus: () => showConnection(panes),
    onTransport: () => migration.show(),
    onError: (error) => migration.failed(error),
  };
  const transport = hasBroker ? current('transport_migrate')?.target : undefined;
  for (const pane of panes) pane.begin(history, transport === 'mqtt' ? 'mqtt' : 'sse', callbacks);
  migration.show();
  for (let viewer = 0; viewer < panes.length; viewer++) sendHeartbeats(streamId);
}

async function untilAnswered(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      connection('lost', `The server does not answer (${error.code}). Retrying…`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function migrate(owner, streamId, target) {
  return owner.post('rpc/migrate_transport', { stream_id: streamId, target, overlap_ms: OVERLAP_MS });
}

// Counts this page as a viewer. A lost heartbeat does no harm, since the next one follows.
function sendHeartbeats(streamId) {
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
  const worstFirst = ['failed', 'closed', 'reconnecting', 'connecting'];
  const worst = worstFirst.find((status) => panes.some((pane) => pane.status === status));
  if (!worst) connection('live', 'Live');
  else if (worst === 'connecting') connection('connecting', 'Connecting…');
  else if (worst === 'reconnecting') connection('lost', 'Connection lost. Reconnecting…');
  else connection('lost', 'The connection has ended. Reload the page.');
}

// The total is null while the count is unknown.
function showViewers(count) {
  byId('viewers').textContent = count?.total ?? '–';
}

function showTraffic(sampling) {
  byId('traffic').textContent = sampling?.active ? `High traffic: showing ${sampling.rate} %` : '';
}

// What a user can do with a message: open its envelope; delete it; as a moderator, pin it, time its sender out or ban them;
// as a viewer, report it.
import { ban, patiently, timeOut } from './acts.js';
import { clearVerdict, showDone, showVerdict } from './verdict.js';

export class MessageActions {
  #user;
  #room; // {streamId, nameOf, openEnvelope, askForReport}
  #verdict; // the line that shows the result

  constructor(user, room, verdict) {
    this.#user = user;
    this.#room = room;
    this.#verdict = verdict;
  }

  // Returns {act, text, label, run, needsContent} for each action. run() gets the MessageLine.
  of({ offset, envelope: { s: sender } }) {
    const { moderates, hasSession, id } = this.#user;
    const name = this.#room.nameOf(sender);
    const message = `${offset === null ? 'a message' : `message ${offset}`} by ${name}`;
    const actions = [this.#action('open', 'Envelope', `Envelope of ${message}`, (line) => this.#open(line))];
    if (!hasSession || offset === null) return actions;
    const isMine = sender === id;
    if (moderates) actions.push(this.#action('pin', 'Pin', `Pin ${message}`, () => this.#pin(offset), true));
    if (moderates || isMine) actions.push(this.#action('delete', 'Delete', `Delete ${message}`, () => this.#remove(offset), true));
    if (moderates && !isMine) {
      const about = [this.#user, this.#room.streamId, sender, name];
      const label = `Time out ${name} for 10 minutes, and delete what they wrote in the last 10`;
      actions.push(this.#action('timeout', 'Time out', label, () => this.#do(timeOut(...about))));
      actions.push(this.#action('ban', 'Ban', `Ban ${name}`, () => this.#do(ban(...about))));
    }
    if (!moderates && !isMine) actions.push(this.#action('report', 'Report', `Report ${message}`, (line) => this.#report(line, name), true));
    return actions;
  }

  #action(act, text, label, run, needsContent = false) {
    return { act, text, label, needsContent, run: (line) => this.#tell(run(line)) };
  }

  // Shows why the server refused an action.
  #tell(action) {
    action.catch((error) => showVerdict(this.#verdict, error));
  }

  // The server has the redacted form of a message that was deleted while this page showed it.
  async #open({ offset, envelope }) {
    let shown = envelope;
    if (!envelope.d && !envelope.payload_hash && offset !== null) {
      const { messages } = await this.#user.client.messages(this.#room.streamId, { after: offset - 1, limit: 1 });
      shown = messages[0]?.envelope ?? envelope;
    }
    this.#room.openEnvelope(offset, shown);
  }

  #remove(offset) {
    clearVerdict(this.#verdict);
    return patiently(() => this.#user.client.redact(this.#room.streamId, { offset }));
  }

  async #pin(offset) {
    clearVerdict(this.#verdict);
    const isNew = await patiently(() => this.#user.client.pin(this.#room.streamId, offset));
    showDone(this.#verdict, isNew ? 'Pinned for everybody.' : 'This message is pinned already.');
  }

  // Shows what the act did, and offers to undo it.
  async #do(act) {
    clearVerdict(this.#verdict);
    const { text, undo } = await act;
    showDone(this.#verdict, text, () => this.#tell(this.#undo(undo)));
  }

  async #undo(undo) {
    await undo();
    showDone(this.#verdict, 'Undone. Deleted messages stay deleted.');
  }

  async #report({ offset, content }, name) {
    const given = await this.#room.askForReport(name, content);
    if (!given) return;
    const isNew = await this.#user.client.report(this.#room.streamId, offset, given);
    showDone(this.#verdict, isNew ? 'Reported to the moderators.' : 'You have reported this message before.');
  }
}

// The buttons that try moderation and the rate limit on the guest and show the server's answer.
import { patiently } from './acts.js';
import { disable } from './make.js';
import { clearVerdict, SEALED, showDone, showVerdict } from './verdict.js';

const FLOOD = 12; // messages, each as soon as the one before has its answer
const HELD_WORD = 'giveaway';

export function offerTrials(section, { streamId, owner, guest, viewer, composer, onReport }) {
  const line = section.querySelector('.verdict');
  const call = (method, ...how) => patiently(() => owner.client[method](streamId, guest.id, ...how));
  let isMember = false;
  const send = async (content, giveUpAfterMs) => {
    const begun = Date.now();
    try {
      const answer = await guest.client.sendMessage(streamId, 'chat', { content }, { giveUpAfterMs });
      composer.accepted(begun, answer, { content });
      return answer.held ? { status: 202, ...answer } : SEALED;
    } catch (error) {
      composer.refused(error);
      throw error;
    }
  };
  // Sends a message as the guest and shows the answer. Retries a 429 for 5 seconds: a flood may have come just before.
  const attempt = async (content) => {
    showVerdict(line, await send(content, 5000));
  };

  const trials = {
    async mute() {
      await call('mute', { until: Date.now() + 60_000, reason: 'tried in the demo room' });
      await attempt('Sent while muted');
    },
    async ban() {
      await call('ban', { reason: 'tried in the demo room' });
      await attempt('Sent while banned');
    },
    async lift() {
      await call('unmute');
      await call('unban');
      await attempt('I can write again');
    },
    async member(button) {
      isMember = !isMember;
      await call('setRole', isMember ? 'member' : null);
      button.textContent = isMember ? 'Remove Ben’s role' : 'Make Ben a member';
      showDone(line, isMember ? 'Ben is a member now.' : 'Ben has no role now.');
    },
    async held() {
      await patiently(() => owner.client.addBlockedTerm(streamId, HELD_WORD, { action: 'hold' }));
      await attempt(`Join my ${HELD_WORD}, it is free`);
    },
    // Ben's own reports of Ada's messages wait for another owner, since nobody closes the reports of their own message.
    async report() {
      const { messages } = await viewer.client.messages(streamId, { limit: 100 });
      const last = messages.findLast(({ envelope }) => envelope?.s === guest.id && envelope.d);
      if (!last) return showDone(line, 'Ben has no message that Cleo could report.');
      const isNew = await patiently(() => viewer.client.report(streamId, last.offset, { category: 'spam', reason: 'I do not want to read this' }));
      onReport();
      showDone(line, isNew ? 'Cleo reported the last message of Ben.' : 'Cleo has reported the last message of Ben before.');
    },
    async flood() {
      const answers = [];
      for (let i = 1; i <= FLOOD; i++) answers.push(await send(`Flood, ${i} of ${FLOOD}`, 0).catch((error) => error));
      const refusals = answers.filter((answer) => answer instanceof Error);
      const accepted = `${FLOOD - refusals.length} of ${FLOOD} accepted.${refusals.length > 0 ? ' The others:' : ''} `;
      showVerdict(line, refusals[0] ?? answers.at(-1), accepted);
    },
  };

  for (const name of ['mute', 'ban', 'lift', 'member', 'held']) disable(section.querySelector(`[data-trial=${name}]`), owner.whyNot);
  let busy = false;
  section.addEventListener('click', async ({ target }) => {
    const trial = trials[target.dataset.trial];
    if (!trial || busy) return;
    busy = true;
    clearVerdict(line);
    await trial(target).catch((error) => showVerdict(line, error));
    busy = false;
  });
}

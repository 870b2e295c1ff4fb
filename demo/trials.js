// The buttons that try moderation and the rate limit on the guest and show the server's answer.
import { clearVerdict, SEALED, showVerdict } from './verdict.js';

const FLOOD = 12; // messages, each as soon as the one before has its answer

export function offerTrials(section, { streamId, owner, guest }) {
  const line = section.querySelector('.verdict');
  const about = { stream_id: streamId, user_id: guest.id };
  const send = (content, giveUpAfterMs) => guest.client.sendMessage(streamId, 'chat', { content }, { giveUpAfterMs });
  // Sends a message as the guest and shows the answer. Retries a 429 for 5 seconds: a flood may have come just before.
  const attempt = async (content) => {
    await send(content, 5000);
    showVerdict(line, SEALED);
  };

  const trials = {
    async mute() {
      const until = new Date(Date.now() + 60_000).toISOString();
      await owner.post('rpc/mute', { ...about, until, reason: 'tried in the demo room' });
      await attempt('Sent while muted');
    },
    async ban() {
      await owner.post('rpc/ban', { ...about, reason: 'tried in the demo room' });
      await attempt('Sent while banned');
    },
    async lift() {
      await owner.post('rpc/unmute', about);
      await owner.post('rpc/unban', about);
      await attempt('I can write again');
    },
    async flood() {
      const refusals = [];
      for (let i = 1; i <= FLOOD; i++) await send(`Flood, ${i} of ${FLOOD}`, 0).catch((error) => refusals.push(error));
      const accepted = `${FLOOD - refusals.length} of ${FLOOD} accepted.${refusals.length > 0 ? ' The others:' : ''} `;
      showVerdict(line, refusals[0] ?? SEALED, accepted);
    },
  };

  for (const name of owner.hasSession ? [] : ['mute', 'ban', 'lift']) section.querySelector(`[data-trial=${name}]`).disabled = true;
  let busy = false;
  section.addEventListener('click', async ({ target }) => {
    const trial = trials[target.dataset.trial];
    if (!trial || busy) return;
    busy = true;
    clearVerdict(line);
    await trial().catch((error) => showVerdict(line, error));
    busy = false;
  });
}

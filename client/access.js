// How a subscription gets in at a transport that checks tokens: the sidecar gives one for each connection (../docs/tokens.md).
import { SealcastError } from './errors.js';

// Resolves with {channelId, token, url, renew()}; without a token when none is asked for, and null when nothing is known.
// `invitation` is what a transport_migrate said, {channelId, ticket}. `tokens`: whether to ask for one; undefined: when
// there is a ticket.
export async function accessTo(http, streamId, { transport, channel, invitation = {}, tokens, signal }) {
  const { channelId, ticket } = invitation;
  if (!(tokens ?? ticket !== undefined)) return channelId && channel === 'public' ? { channelId } : null;
  const body = JSON.stringify({ transport, channel, ticket });
  try {
    const answer = await http.json('POST', `/streams/${encodeURIComponent(streamId)}/token`, { body, streamId, signal });
    const renew = () => accessTo(http, streamId, { transport, channel, invitation, tokens, signal });
    return { channelId: answer.channel_id, token: answer.token, url: answer.url, renew };
  } catch (error) {
    throw error instanceof SealcastError && !error.retryable ? refusal(transport, error) : error;
  }
}

// A verdict of the server's: the same transport will not do later either.
function refusal(transport, error) {
  const { status, details, hint } = error;
  const message = `there is no token for ${transport}: ${error.message}`;
  return new SealcastError('transport_refused', message, { status, details, hint, cause: error });
}

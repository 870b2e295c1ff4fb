// Requests the token with which a subscription reads a transport that checks tokens. The sidecar gives one token for each
// connection (../docs/tokens.md).
import { TOKEN } from './answers.js';
import { SealcastError } from './errors.js';

// Resolves with {channelId, token, url, renew()}, with {channelId} alone when no token is requested, and with null when
// the channel is unknown too. `announcement` is {channelId, needsToken} of the newest transport_migrate message. `tokens`
// decides whether a token is requested; when it is undefined, the announcement decides.
export async function requestAccess(http, streamId, { transport, channel, announcement = {}, tokens, signal }) {
  const { channelId, needsToken = false } = announcement;
  if (!(tokens ?? needsToken)) return channelId && channel === 'public' ? { channelId } : null;
  const body = JSON.stringify({ transport, channel });
  try {
    const path = `/streams/${encodeURIComponent(streamId)}/token`;
    const answer = await http.json('POST', path, { answer: TOKEN, body, streamId, signal });
    const renew = () => requestAccess(http, streamId, { transport, channel, announcement, tokens, signal });
    return { channelId: answer.channel_id, token: answer.token, url: answer.url, renew };
  } catch (error) {
    throw error instanceof SealcastError && !error.retryable ? refusal(transport, error) : error;
  }
}

// The server refused the token for good, so a retry on the same transport cannot succeed.
function refusal(transport, error) {
  const { status, details, hint } = error;
  const message = `the server gives no token for ${transport}: ${error.message}`;
  return new SealcastError('transport_refused', message, { status, details, hint, cause: error });
}

// The demo's users: Ada and Ben have a pane each, and Cleo reports. Each has a client, and post() for requests that the
// client library does not offer. demo.json has the sessions of Ben and Cleo. Only the operator has the owner's: in the page's
// address, after #owner=, which no browser sends to a server.
import { createClient, mqtt, SealcastError, sse } from './client/index.js';

const url = new URL('.', location.href);

// Resolves with null when the server has no demo session.
export async function openSession() {
  let demo = await read();
  if (!demo) return null;
  const transports = [sse(), ...(demo.broker ? [mqtt({ client: () => connect(demo.broker) })] : [])];
  const ownerToken = new URLSearchParams(location.hash.slice(1)).get('owner');
  // When the session of a guest expires, demo.json has a new one.
  const tokenOf = (who) => async ({ refresh }) => {
    if (refresh) demo = (await read()) ?? demo;
    return demo[who].token;
  };
  const user = ({ name, user_id: id }, getToken, moderates = false) => ({
    name,
    id,
    moderates,
    hasSession: getToken !== undefined,
    whyNot: getToken ? '' : `Only ${name} can do this, with the operator’s link.`, // empty if this page may act for the user
    client: createClient({ url, getToken, transports }),
    post: async (path, body) => post(path, body, await getToken({ refresh: false })),
  });
  return {
    streamId: demo.stream_id,
    owner: user(demo.owner, ownerToken ? async () => ownerToken : undefined, true),
    guest: user(demo.guest, tokenOf('guest')),
    viewer: user(demo.viewer, tokenOf('viewer')),
    hasBroker: demo.broker !== null,
  };
}

async function read() {
  const answer = await fetch('demo.json', { cache: 'no-store' }).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// By default MQTT.js runs its timers in a worker made from a blob, which the page's content security policy forbids.
async function connect({ url: broker, username, password }) {
  const { default: mqttjs } = await import('./mqtt.esm.js');
  return mqttjs.connect(broker, { username, password, reconnectPeriod: 0, timerVariant: 'native' });
}

// Resolves with the parsed body, or null when it is empty. Throws SealcastError as the client library does. After a 429
// it waits and sends the request again.
export async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, url), request).catch((cause) => {
    throw new SealcastError('unreachable', 'the server cannot be reached', { cause });
  });
  if (response.status === 429) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * (response.headers.get('Retry-After') ?? 1)));
    return post(path, body, token);
  }
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (response.ok) return answer;
  const { code = 'unexpected_answer', message = '', details = null, hint = null } = answer ?? {};
  throw new SealcastError(code, message, { status: response.status, details, hint });
}

// The demo's two users: each has a session of their own, a client, and the requests that the client library leaves out.
import { createClient, mqtt, SealcastError, sse } from './client/index.js';

const url = new URL('.', location.href);

// Null when there is no demo session.
export async function openSession() {
  let demo = await read();
  if (!demo) return null;
  const transports = [sse(), ...(demo.broker ? [mqtt({ client: () => connect(demo.broker) })] : [])];
  // A room that is left open for longer than its sessions last finds new ones where it found the first.
  const user = (role) => {
    const token = async ({ refresh }) => {
      if (refresh) demo = (await read()) ?? demo;
      return demo[role].token;
    };
    return {
      name: demo[role].name,
      id: demo[role].user_id,
      client: createClient({ url, getToken: token, transports }),
      post: async (path, body) => post(path, body, await token({ refresh: false })),
    };
  };
  return { streamId: demo.stream_id, owner: user('owner'), guest: user('guest'), hasBroker: demo.broker !== null };
}

async function read() {
  const answer = await fetch('demo.json', { cache: 'no-store' }).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// Timers of MQTT.js's own would run in a worker made from a blob, which the page's policy does not allow.
async function connect({ url: broker, username, password }) {
  const { default: mqttjs } = await import('./mqtt.esm.js');
  return mqttjs.connect(broker, { username, password, reconnectPeriod: 0, timerVariant: 'native' });
}

// Answers the body, parsed; null when there is none. Throws SealcastError as the client library does; too many calls in
// a second are waited out.
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

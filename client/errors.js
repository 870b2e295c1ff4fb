// The one type of error: a refusal of the server's, or what kept it from answering.

export class SealcastError extends Error {
  // `status` is 0 when there was no answer. `code` is the server's (docs/errors.md), or one of docs/client.md.
  constructor(code, message, { status = 0, details = null, hint = null, retryAfterMs = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SealcastError';
    Object.assign(this, { status, code, details, hint, retryAfterMs });
  }

  // Whether the same request may fare better later. What is 4xx is a verdict, but for 429.
  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// A failure that is not the server's to tell: a broken connection, an SDK's complaint.
export function failure(code, message, cause) {
  return new SealcastError(code, message, { cause });
}

export async function errorOfResponse(response) {
  const { status } = response;
  const body = await response.json().catch(() => null);
  const { code = 'unexpected_answer', message = `HTTP ${status}`, details = null, hint = null } = body ?? {};
  return new SealcastError(code, message, { status, details, hint, retryAfterMs: retryAfter(response, hint) });
}

// Retry-After is whole seconds or a date (RFC 9110, 10.2.3). PostgREST sends none: there the hint has the milliseconds.
function retryAfter(response, hint) {
  const header = response.headers.get('retry-after');
  if (header !== null) {
    const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const inHint = /^(\d+) ms$/.exec(hint ?? '');
  return inHint ? Number(inHint[1]) : null;
}

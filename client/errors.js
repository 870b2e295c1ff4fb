// SealcastError, the only type of error of this module: the server refused a request, or no answer came.

const RETRIED = new Set([408, 425, 429]); // too slow, too early, too many

export class SealcastError extends Error {
  // `status` is 0 when no answer came. `code` is the server's (docs/errors.md), or the client's own (docs/client.md).
  constructor(code, message, { status = 0, details = null, hint = null, retryAfterMs = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SealcastError';
    Object.assign(this, { status, code, details, hint, retryAfterMs });
  }

  // Whether a retry may succeed. A 4xx answer is final, except those of RETRIED, and a 404 that is not the server's: a proxy
  // answers so while it does not know its server.
  get retryable() {
    const { status, code } = this;
    return status === 0 || status >= 500 || RETRIED.has(status) || (status === 404 && code === 'unexpected_answer');
  }
}

// An error that did not come from the server: for example a broken connection, or an error of an SDK.
export function failure(code, message, cause) {
  return new SealcastError(code, message, { cause });
}

export async function errorOfResponse(response) {
  const { status } = response;
  const body = await response.json().catch(() => null);
  const { code, message, details = null, hint = null } = body ?? {};
  const retryAfterMs = retryAfter(response, hint);
  if (typeof code === 'string' && typeof message === 'string') {
    return new SealcastError(code, message, { status, details, hint, retryAfterMs });
  }
  const foreign = `${addressOf(response)} answered ${status}, but not from Sealcast; a proxy may have answered`;
  return new SealcastError('unexpected_answer', foreign, { status, retryAfterMs });
}

// The address of an answer, without the query, which may contain a ticket.
export function addressOf({ url }) {
  return url ? url.replace(/[?#].*$/s, '') : 'the server';
}

// Retry-After is whole seconds or a date (RFC 9110, 10.2.3). PostgREST does not let a page of another origin read it; its
// hint begins with the milliseconds, as in "989 ms: Wait, then retry".
function retryAfter(response, hint) {
  const header = response.headers.get('retry-after');
  if (header !== null) {
    const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const inHint = /^(\d+) ms(?:: |$)/.exec(hint ?? '');
  return inHint ? Number(inHint[1]) : null;
}

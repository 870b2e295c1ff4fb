// SealcastError, the only type of error of this module: the server refused a request, or no answer came.

export class SealcastError extends Error {
  // `status` is 0 when no answer came. `code` is the server's (docs/errors.md), or the client's own (docs/client.md).
  constructor(code, message, { status = 0, details = null, hint = null, retryAfterMs = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SealcastError';
    Object.assign(this, { status, code, details, hint, retryAfterMs });
  }

  // Whether a retry may succeed. A 4xx answer is final, except 429.
  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// An error that did not come from the server: for example a broken connection, or an error of an SDK.
export function failure(code, message, cause) {
  return new SealcastError(code, message, { cause });
}

export async function errorOfResponse(response) {
  const { status } = response;
  const body = await response.json().catch(() => null);
  const { code = 'unexpected_answer', message = `HTTP ${status}`, details = null, hint = null } = body ?? {};
  return new SealcastError(code, message, { status, details, hint, retryAfterMs: retryAfter(response, hint) });
}

// Retry-After is whole seconds or a date (RFC 9110, 10.2.3). PostgREST sends no such header; its hint has the milliseconds.
function retryAfter(response, hint) {
  const header = response.headers.get('retry-after');
  if (header !== null) {
    const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const inHint = /^(\d+) ms$/.exec(hint ?? '');
  return inHint ? Number(inHint[1]) : null;
}

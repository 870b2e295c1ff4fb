// Messages from the system itself. Only the server sends them, under the nil UUID.
export const SYSTEM_SENDER = '00000000-0000-0000-0000-000000000000';

// Whether the envelope is a system message of this type. One whose content was redacted has no effect, so it does not count.
export const isSystemMessage = (envelope, type) => envelope?.t === type && envelope.s === SYSTEM_SENDER && envelope.d !== null;

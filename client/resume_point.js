// A resume point is an offset in an epoch of the stream's log, as text: EPOCH:OFFSET. A restored database begins another
// epoch, so an offset from before the restore says nothing about the log from then on. Without a known epoch it is OFFSET.

// Returns {offset, epoch} (epoch: null when it is not stated), or null when the text is no resume point.
export function parseResumePoint(value) {
  const [, epoch, digits] = /^(?:([0-9a-z]{1,16}):)?(\d+)$/.exec(value) ?? [];
  const offset = Number(digits);
  return Number.isSafeInteger(offset) ? { offset, epoch: epoch ?? null } : null;
}

export const resumePoint = (offset, epoch) => (epoch === null ? String(offset) : `${epoch}:${offset}`);

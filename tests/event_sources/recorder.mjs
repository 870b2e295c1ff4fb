// Records the events of one reader, in Node.js and in pages. Like most handlers, it parses the data of every event.
export function recorder() {
  const record = { ready: 0, made: 0, frames: [], failures: [] };
  record.take = (type, data, id) => {
    try {
      const frame = JSON.parse(data);
      if (type === 'ready') record.ready++;
      else record.frames.push({ id, offset: frame.offset });
    } catch (error) {
      record.failures.push(String(error));
    }
  };
  return record;
}

// Reads with an EventSource of any library. It makes a new one where the old one has given up, as docs/http.md shows.
export function follow(record, url, EventSource) {
  let last = '', source;
  const take = ({ type, data, lastEventId }) => {
    last = lastEventId;
    record.take(type, data, lastEventId);
  };
  const connect = () => {
    record.made++;
    source = new EventSource(`${url}?last_event_id=${last}`);
    source.addEventListener('ready', take);
    source.onmessage = take;
    // Later, because undici gives up only after this.
    source.onerror = () => {
      clearTimeout(record.timer);
      record.timer = setTimeout(() => {
        if (source.readyState === EventSource.CLOSED) connect();
      }, 100);
    };
  };
  record.close = () => {
    clearTimeout(record.timer);
    source.close();
  };
  connect();
}

// Reads event streams with the libraries of Node.js.
import { setTimeout as pause } from 'node:timers/promises';
import EventSource2 from 'eventsource-2';
import { EventSource as EventSource4 } from 'eventsource-4';
import { EventSource as EventSource5 } from 'eventsource-5';
import { createParser } from 'eventsource-parser';
import { EventSource as UndiciEventSource } from 'undici';
import { follow } from './recorder.mjs';

// A parser is no EventSource: its user connects again.
function parse(record, url) {
  const stop = new AbortController();
  record.close = () => stop.abort();
  (async () => {
    let last = '';
    for (; !stop.signal.aborted; await pause(100)) {
      try {
        record.made = 1;
        const response = await fetch(url, { headers: last ? { 'last-event-id': last } : {}, signal: stop.signal });
        const parser = createParser({
          onEvent: ({ event = 'message', data, id }) => record.take(event, data, (last = id)),
        });
        const decoder = new TextDecoder();
        if (response.ok) for await (const bytes of response.body) parser.feed(decoder.decode(bytes, { stream: true }));
      } catch {} // the connection is lost, or is closed by the test
    }
  })();
}

export const libraries = {
  'eventsource 2': (record, url) => follow(record, url, EventSource2),
  'eventsource 4': (record, url) => follow(record, url, EventSource4),
  'eventsource 5': (record, url) => follow(record, url, EventSource5),
  undici: (record, url) => follow(record, url, UndiciEventSource),
  'eventsource-parser': parse,
};

// The parser of text/event-stream, with the text cut at every byte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStream } from '../../client/event_stream.js';

const encoder = new TextEncoder();

function read(...pieces) {
  const events = [];
  const stream = new EventStream({
    onEvent: ({ data, type, lastEventId }) => events.push([type, data, lastEventId]),
    onRetry: (ms) => events.push(['retry', ms]),
  });
  for (const piece of pieces) stream.push(piece);
  return events;
}

const text = [
  '\uFEFFretry: 2000\nid: 1\n\n',
  ': a comment\n\n',
  'id: 2\ndata: {"a":"ü😀"}\n\n',
  'data:one\r\ndata: two\rdata\n\n',
  'event: other\nid\ndata: x\n\n',
  'id: 3\0\nretry: soon\nunknown: field\ndata:  spaces \n\n',
  'data: never ended\n',
].join('');
const expected = [
  ['retry', 2000],
  ['message', null, '1'],
  ['message', null, '1'],
  ['message', '{"a":"ü😀"}', '2'],
  ['message', 'one\ntwo\n', '2'],
  ['other', 'x', ''],
  ['message', ' spaces ', ''],
];

test('parses fields, comments, line ends and the byte order mark', () => assert.deepEqual(read(encoder.encode(text)), expected));

test('parses text that is cut into two at any byte, or into single bytes', () => {
  const bytes = encoder.encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(read(bytes.subarray(0, cut), bytes.subarray(cut)), expected, `cut at ${cut}`);
  }
  assert.deepEqual(read(...Array.from(bytes, (byte) => Uint8Array.of(byte))), expected);
});

test('an endless line is refused, so that it does not fill the memory', () => {
  const endless = new Uint8Array(1024 * 1024).fill(97);
  assert.throws(() => read(...Array(5).fill(endless)), RangeError);
});

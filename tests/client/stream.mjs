// Writes messages to streams for the tests.
import assert from 'node:assert/strict';

const SYSTEM = '00000000-0000-0000-0000-000000000000';

// Admits messages of many senders, so that the rate limit of one sender does not apply.
export async function write(stack, streamId, count, label = 'n') {
  await stack.query(
    `select from sealcast.admit(array_fill($1::uuid, array[$2::int]), array_fill('chat'::text, array[$2::int]),
       array(select gen_random_uuid() from generate_series(1, $2)), array(select gen_random_uuid() from generate_series(1, $2)),
       array(select json_build_object('content', $3::text || ' ' || n)::text from generate_series(1, $2) n))`,
    [streamId, count, label],
  );
}

// Admits a message of a type that only the system may send.
export async function writeAsSystem(stack, streamId, type, d) {
  const [{ status }] = await stack.query(
    'select status from sealcast.admit(array[$1]::uuid[], array[$2], array[$3]::uuid[], array[gen_random_uuid()], array[$4])',
    [streamId, type, SYSTEM, JSON.stringify(d)],
  );
  assert.equal(status, 200);
}

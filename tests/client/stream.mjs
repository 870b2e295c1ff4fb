// Writes messages to streams for the tests.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

const SYSTEM = '00000000-0000-0000-0000-000000000000';

// Admits messages of many senders, so that the rate limit of one sender does not apply. In a private stream, each sender
// gets a role first.
export async function write(stack, streamId, count, label = 'n') {
  const senders = Array.from({ length: count }, () => randomUUID());
  await stack.query(
    `insert into sealcast.stream_roles (stream_id, user_id, role)
     select s.stream_id, sender, 'writer' from sealcast.streams s, unnest($2::uuid[]) sender where s.stream_id = $1 and s.visibility = 'private'`,
    [streamId, senders],
  );
  const verdicts = await stack.query(
    `select status, code from sealcast.admit(array_fill($1::uuid, array[$2::int]), array_fill('chat'::text, array[$2::int]),
       $4, array(select gen_random_uuid() from generate_series(1, $2)),
       array(select json_build_object('content', $3::text || ' ' || n)::text from generate_series(1, $2) n))`,
    [streamId, count, label, senders],
  );
  assert.deepEqual(verdicts.filter(({ status }) => status !== 200), []);
}

// Admits a message of a type that only the system may send.
export async function writeAsSystem(stack, streamId, type, d) {
  const [{ status }] = await stack.query(
    'select status from sealcast.admit(array[$1]::uuid[], array[$2], array[$3]::uuid[], array[gen_random_uuid()], array[$4])',
    [streamId, type, SYSTEM, JSON.stringify(d)],
  );
  assert.equal(status, 200);
}

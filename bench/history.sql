-- Inserts the messages of one day directly into the tables, as if they had been sent and relayed then: evenly over the
-- day, in runs of 10, which take turns in the streams with the title history. Variables: day (0 is the oldest), days,
-- messages (of the day).
\set ON_ERROR_STOP on
set synchronous_commit = off;
select extract(epoch from current_date - :days + :day)::bigint * 1000 as began, array_agg(stream_id) as streams, count(*) as count
from sealcast.streams where title = 'history' \gset
with sent as materialized (
  select nextval('sealcast_internal.message_ids') as message_id, (n - 1) / 10 as run, (n - 1) % 10 as place,
    :began + (n - 1) / 10 * 10 * 86400000 / :messages as ts, md5((n % 100000)::text)::uuid as sender_id,
    sha256(n::text::bytea) as hash,
    format('{"client_ts":%s,"content":"%s","lang":"en","type":"chat"}', n, repeat(md5(n::text), 4)) as d
  from generate_series(1::bigint, :messages) n
),
kept as (
  insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
  select ts, message_id, (:'streams'::uuid[])[run % :count + 1], sender_id, gen_random_uuid(), 'chat', 'k1', hash, d from sent
)
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select (:'streams'::uuid[])[run % :count + 1], (:day * (:messages / :count / 10 + 1) + run / :count) * 10 + 1, 10, ts, ts, message_id
from sent where place = 0;

-- Inserts messages of one stream directly into the tables, as if they had been sent and relayed today: evenly over the
-- last six hours, in runs of 10. Variables: stream, messages.
\set ON_ERROR_STOP on
set synchronous_commit = off;
select greatest(extract(epoch from date_trunc('day', now() at time zone 'UTC')) * 1000,
                floor(extract(epoch from now()) * 1000) - 6 * 3600000)::bigint as began,
       floor(extract(epoch from now()) * 1000)::bigint as ends,
       sealcast_internal.last_offset(:'stream') as last_offset \gset
with sent as materialized (
  select nextval('sealcast_internal.message_ids') as message_id, (n - 1) / 10 as run,
    :began + (n - 1) / 10 * 10 * (:ends - :began) / (:messages + 1) as ts,
    md5((n % 100000)::text)::uuid as sender_id, gen_random_uuid() as txn_id, :last_offset + n as "offset",
    sha256(n::text::bytea) as hash,
    format('{"client_ts":%s,"content":"%s","lang":"en","type":"chat"}', n, repeat(md5(n::text), 4)) as d
  from generate_series(1::bigint, :messages) n
),
kept as (
  insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
  select ts, message_id, :'stream', sender_id, txn_id, 'bench', 'k1', hash, d from sent
),
keyed as (
  insert into sealcast.txn_keys (sender_id, txn_id, ts, message_id, sent_hash)
  select sender_id, txn_id, ts, message_id, hash from sent
)
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select :'stream', min("offset"), count(*), ts, ts, min(message_id) from sent group by run, ts;

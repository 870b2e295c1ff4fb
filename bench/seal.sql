-- Compares sealing with pgcrypto over the same rows in one backend. Prints one line per operation: payload | operation
-- | rows per second | factor over pgcrypto on jsonb | on json | on jsonb that plpgsql canonicalised. The rounds of all
-- operations are interleaved. Variables: rows, rounds.
\set ON_ERROR_STOP on
\set QUIET on
\pset tuples_only on
\pset format unaligned
\ir peers/pgcrypto.sql
set max_parallel_workers_per_gather = 0;
set jit = off;
set temp_buffers = '512MB';  -- holds all payloads: otherwise reading them from disk would dominate

-- Payloads with a canonical form of exactly `bytes` bytes. The keys have no order, as clients send them. The storage is
-- plain, without compression: a payload is usually sealed before it is stored.
create temp table payloads (payload text, bytes int, n int, as_json json, as_jsonb jsonb) partition by list (payload);
alter table payloads alter as_json set storage plain, alter as_jsonb set storage plain;
create temp table short_payloads partition of payloads for values in ('200 B');
create temp table string_payloads partition of payloads for values in ('2 KB, one long string');
create temp table object_payloads partition of payloads for values in ('2 KB, many members');
insert into payloads
with item as (
  select string_agg(format('{"sku": "A-%s", "qty": %s, "price": %s, "tags": ["new", "sale"], "gift": false}',
                           1000 + i, i, i + 0.99), ', ' order by i) as items
  from generate_series(1, 20) i
), frame as (
  select payload, bytes, n, frame
  from generate_series(1, :rows) n, item, lateral (values
    ('200 B', 200, format('{"type": "chat", "lang": "en", "content": "%s", "client_ts": %s, "mentions": ["%s"]}',
                          '', 1700000000000 + n, md5(n::text))),
    ('2 KB, one long string', 2000, format(
      '{"type": "chat", "lang": "en", "content": "%s", "client_ts": %s, "mentions": ["%s"]}',
      '', 1700000000000 + n, md5(n::text))),
    ('2 KB, many members', 2000, format(
      '{"type": "order", "content": "%s", "client_ts": %s, "buyer": {"id": %s, "name": "%s", "vip": null}, '
      '"place": {"lon": 13.405, "lat": 52.52}, "items": [%s], "currency": "EUR", "total": 229.8}',
      '', 1700000000000 + n, n, md5(n::text), items))) kind (payload, bytes, frame)
)
select payload, bytes, n, d::json, d::jsonb
from frame, lateral (select replace(frame, '"content": ""', '"content": "'
       || rpad('', bytes - octet_length(sealcast.canonicalize(frame::json)), md5(n::text)) || '"') as d) padded;
do $$ begin
  assert not exists (select from payloads where octet_length(sealcast.canonicalize(as_json)) <> bytes
                     or sealcast.canonicalize(as_json) <> sealcast.canonicalize(as_jsonb));
end $$;
vacuum analyze payloads;

create temp table measured (payload text, operation text, rows_per_s float8);
create function pg_temp.measure(operation text, expression text, kind text) returns void language plpgsql as $$
declare
  began timestamptz;
  counted bigint;
begin
  began := clock_timestamp();
  execute format('select count(%s) from payloads where payload = %L', expression, kind) into counted;
  insert into measured values (kind, operation, counted / extract(epoch from clock_timestamp() - began));
end $$;

select format($f$select pg_temp.measure(%L, %L, %L)$f$, operation, expression, payload)
from generate_series(0, :rounds) round, (select distinct payload from payloads) kind,
  (values
    (1, 'sealcast, json: sign(signing_string(… payload_hash(d)))', $e$sealcast.sign(sealcast.signing_string('chat',
      '0190d000-0000-7000-8000-000000000001', '0190d000-0000-7000-8000-0000000000a1', '0190d000-0000-7000-8000-0000000000b1',
      1700000000000, sealcast.payload_hash(as_json)))$e$),
    (2, 'sealcast, jsonb: sign(signing_string(… payload_hash(d)))', $e$sealcast.sign(sealcast.signing_string('chat',
      '0190d000-0000-7000-8000-000000000001', '0190d000-0000-7000-8000-0000000000a1', '0190d000-0000-7000-8000-0000000000b1',
      1700000000000, sealcast.payload_hash(as_jsonb)))$e$),
    (3, 'sealcast, json: seal(…), the whole envelope', $e$sealcast.seal('chat',
      '0190d000-0000-7000-8000-000000000001', '0190d000-0000-7000-8000-0000000000a1', '0190d000-0000-7000-8000-0000000000b1',
      1700000000000, as_json)$e$),
    (4, 'pgcrypto, jsonb: hmac(digest(d::text)), not canonical', $e$hmac(digest(as_jsonb::text, 'sha256'), 'a secret of at least 32 bytes, as ours', 'sha256')$e$),
    (5, 'pgcrypto, json: hmac(digest(d::text)), not canonical', $e$hmac(digest(as_json::text, 'sha256'), 'a secret of at least 32 bytes, as ours', 'sha256')$e$),
    (6, 'pgcrypto, jsonb: hmac(digest(canonicalize(d))), sorted by plpgsql', $e$hmac(
      digest(peer.canonicalize(as_jsonb), 'sha256'), 'a secret of at least 32 bytes, as ours', 'sha256')$e$),
    (7, 'only reading the rows', 'as_json')
  ) work (position, operation, expression)
order by round, payload, position
\o /dev/null
\gexec
\o

-- The first round is the warm-up. Prints median [minimum–maximum]. A ratio compares two runs of the same round.
create function pg_temp.spread(figures float8[], digits int) returns text language sql as $$
  select format('%s [%s–%s]', round(percentile_cont(0.5) within group (order by f)::numeric, digits),
                round(min(f)::numeric, digits), round(max(f)::numeric, digits)) from unnest(figures) f
$$;
with numbered as (
  select *, row_number() over (partition by payload, operation) as round from measured
), compared as (
  select *,
    rows_per_s / max(rows_per_s) filter (where operation like 'pgcrypto, jsonb: hmac(digest(d%') over of_round
      as to_jsonb,
    rows_per_s / max(rows_per_s) filter (where operation like 'pgcrypto, json:%') over of_round as to_json,
    rows_per_s / max(rows_per_s) filter (where operation like 'pgcrypto%canonicalize%') over of_round as to_canonical
  from numbered where round > 1 window of_round as (partition by payload, round)
)
select payload, operation, pg_temp.spread(array_agg(rows_per_s), 0), pg_temp.spread(array_agg(to_jsonb), 2),
  pg_temp.spread(array_agg(to_json), 2), pg_temp.spread(array_agg(to_canonical), 2)
from compared group by payload, operation order by payload, operation desc;

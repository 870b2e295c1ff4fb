-- Sealing in one backend, beside pgcrypto's over the same rows, with and without canonical JSON: one line for each
-- measurement, "payload bytes|what|rows a second|times as fast as pgcrypto without|with". The rounds of all measurements
-- are interleaved. Variables: rows, rounds.
\set ON_ERROR_STOP on
\set QUIET on
\pset tuples_only on
\pset format unaligned
\ir peers/pgcrypto.sql
set max_parallel_workers_per_gather = 0;
set jit = off;

-- A chat message whose canonical form has exactly `bytes` bytes; keys are in no order, as clients send them.
create temp table payloads as
select bytes, n, d::json as as_json, d::jsonb as as_jsonb
from (values (200), (2000)) size (bytes), generate_series(1, :rows) n,
  lateral (select format('{"type": "chat", "lang": "en", "content": "%s", "client_ts": %s, "mentions": ["%s"]}',
                         '', 1700000000000 + n, md5(n::text)) as frame) f,
  lateral (select replace(frame, '"content": ""', '"content": "'
           || rpad('', bytes - octet_length(sealcast.canonicalize(frame::json)), md5(n::text)) || '"') as d) padded;
do $$ begin
  assert not exists (select from payloads where octet_length(sealcast.canonicalize(as_json)) <> bytes
                     or sealcast.canonicalize(as_json) <> sealcast.canonicalize(as_jsonb));
end $$;
vacuum analyze payloads;

create temp table measured (bytes int, what text, rows_per_s float8);
create function pg_temp.measure(what text, expression text, bytes int) returns void language plpgsql as $$
declare
  began timestamptz;
  counted bigint;
begin
  began := clock_timestamp();
  execute format('select count(%s) from payloads where bytes = %s', expression, bytes) into counted;
  insert into measured values (bytes, what, counted / extract(epoch from clock_timestamp() - began));
end $$;

select format($f$select pg_temp.measure(%L, %L, %s)$f$, what, expression, bytes)
from generate_series(0, :rounds) round, (values (200), (2000)) size (bytes),
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
      digest(peer.canonicalize(as_jsonb), 'sha256'), 'a secret of at least 32 bytes, as ours', 'sha256')$e$)
  ) work (position, what, expression)
order by round, bytes, position
\o /dev/null
\gexec
\o

-- The first round warmed up. Median [least–most]; ratios are of the same round.
create function pg_temp.spread(figures float8[], digits int) returns text language sql as $$
  select format('%s [%s–%s]', round(percentile_cont(0.5) within group (order by f)::numeric, digits),
                round(min(f)::numeric, digits), round(max(f)::numeric, digits)) from unnest(figures) f
$$;
with numbered as (
  select *, row_number() over (partition by bytes, what) as round from measured
)
select bytes, m.what, pg_temp.spread(array_agg(m.rows_per_s), 0),
  pg_temp.spread(array_agg(m.rows_per_s / plain.rows_per_s), 2),
  pg_temp.spread(array_agg(m.rows_per_s / sorted.rows_per_s), 2)
from numbered m
join numbered plain using (bytes, round)
join numbered sorted using (bytes, round)
where round > 1 and plain.what like 'pgcrypto, jsonb: hmac(digest(d%' and sorted.what like 'pgcrypto%canonicalize%'
group by bytes, m.what order by bytes, m.what desc;

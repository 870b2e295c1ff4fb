# Measures whether a message costs more with many stored messages, with many streams, or beside an open transaction.
# shellcheck shell=bash disable=SC2154 # run.sh and stack.sh set these variables
echo "## Growth"
echo
echo "Answers per second in a closed loop: 64 connections, 10000 senders, $SECONDS_EACH s per run. before / after is"
echo "the factor by which a message takes longer."
echo
header "from" "to" "answers/s before" "after" "before / after"

# fill STREAM MESSAGES: stores messages in pieces that fit into memory.
fill() {
  local left=$2 piece
  while ((left > 0)); do
    piece=$((left > 500000 ? 500000 : left))
    query -v stream="$1" -v messages=$piece -f bench/fill.sql
    left=$((left - piece))
  done
  query -c "vacuum (analyze) sealcast.messages, sealcast.txn_keys, sealcast.stream_runs"
}
# rate_in STREAM…: prints answers per second; OPTIONS are options of the load generator.
OPTIONS=()
rate_in() {
  local result
  result=$(load --senders 10000 --seconds "$SECONDS_EACH" "${OPTIONS[@]}" --stream "$@")
  numbers "$result" answers_per_s
}

# The small database is a second database of the same server, so that the rounds can be interleaved.
query -c "create database small"
PGDATABASE=small query -c "create extension sealcast" -c "$bench_type" -c "select sealcast.maintain()" > /dev/null
small=$(PGDATABASE=small new_stream)
PGDATABASE=small fill "$small" 10000
stream=$(new_stream)
began=$SECONDS
fill "$stream" "$STORED"
filled=$((SECONDS - began))
few='' many=''
for ((round = 0; round < ROUNDS; round++)); do
  start_sealcastd SEALCAST_POSTGRES_DSN="host='$PGHOST' port=$PGPORT dbname=small user=sealcast_service"
  few+=" $(rate_in "$small")"
  stop_sealcastd
  start_sealcastd
  many+=" $(rate_in "$stream")"
  stop_sealcastd
done
row "10000 messages in the stream" "$STORED" "$(compared "$few" "$many")"

start_sealcastd
mapfile -t streams < <(query -c "insert into sealcast.streams (title) select 'growth' from generate_series(1, 10000)
  returning stream_id")
one='' each=''
for ((round = 0; round < ROUNDS; round++)); do
  one+=" $(rate_in "$stream")"
  each+=" $(rate_in "${streams[@]}")"
done
row "1 stream" "10000 streams" "$(compared "$one" "$each")"

free=$(rate_in "$stream")
PGAPPNAME=bench_open psql -X -q &> /dev/null \
  -c "begin isolation level repeatable read; select pg_current_xact_id(); select pg_sleep(3600)" &
open=$!
OPTIONS=(--warmup $((HELD_OPEN > SECONDS_EACH ? HELD_OPEN - SECONDS_EACH : 0)))
held=$(rate_in "$stream")
query -c "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bench_open'" > /dev/null
wait "$open" || true
OPTIONS=()
row "no other transaction" "one open for $HELD_OPEN s of this load" "$(compared "$free" "$held")"
# Measured again without the open transaction: the host and the checkpoints may have changed the result too.
row "no other transaction, again" "one open for $HELD_OPEN s of this load" "$(compared "$(rate_in "$stream")" "$held")"
stop_sealcastd
echo
size=$(query -c "select pg_size_pretty(pg_database_size(current_database()))")
echo "Filling took $filled s; the database has $size, of it" \
  "$(query -c "select string_agg(format('%s %s', pg_size_pretty(bytes), name), ', ') from (
    select i.inhparent::regclass as name, sum(pg_total_relation_size(i.inhrelid)) as bytes from pg_inherits i
    where i.inhparent in ('sealcast.messages'::regclass, 'sealcast.stream_runs'::regclass) group by 1
    union all select 'sealcast.txn_keys'::regclass, pg_total_relation_size('sealcast.txn_keys')) t")."

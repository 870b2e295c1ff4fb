# Measures how long a page of history takes in a large database, and reading by policy.
# shellcheck shell=bash disable=SC2154 # run.sh and stack.sh set these variables
DAYS=30 STREAMS=1000
echo "## History"
echo
echo "$STORED messages of $DAYS days in $STREAMS streams, each day in partitions of its own. Milliseconds of one"
echo "transaction of sealcast_user on one connection, median [99th percentile] of $ROWS transactions, each in a random stream."
echo
header "what is read" "ms"

began=$SECONDS
query -c "insert into sealcast.streams (title) select 'history' from generate_series(1, $STREAMS)"
# A call makes at most 20 partitions, and a day needs one for each partitioned table.
for ((day = 0; day <= DAYS; day++)); do
  query -c "select sealcast_internal.make_partitions(current_date - $day, current_date - $day)" > /dev/null
done
for ((day = 0; day < DAYS; day++)); do
  query -v day=$day -v days=$DAYS -v messages=$((STORED / DAYS)) -f bench/history.sql
done
quiet=$(new_stream)
query -c "insert into sealcast.stream_runs (stream_id, \"offset\", messages, logged_at, ts, first_id)
  select '$quiet', 1, 1, r.logged_at, r.ts, r.first_id from sealcast.stream_runs r order by logged_at limit 1"
query -c "vacuum (analyze) sealcast.messages, sealcast.stream_runs"
filled=$((SECONDS - began))
mapfile -t streams < <(query -c "select stream_id from sealcast.streams where title = 'history'")
claims='{"sub": "00000000-0000-4000-8000-000000000001"}'
oldest=$(query -c "select max(\"offset\") / 2 from sealcast.stream_runs where stream_id = '${streams[0]}'")

# page TRANSACTIONS SELECT: prints the milliseconds of the statement, in which :stream is a random stream.
page() {
  local directory
  directory=$(mktemp -d "$SEALCAST_LOCAL/page-XXXXXX")
  {
    echo "\\set i random(0, $((STREAMS - 1)))"
    echo "begin;"
    echo "select set_config('request.jwt.claims', '$claims', true);"
    echo "select stream_id as stream from bench_streams where i = :i \\gset"
    echo "set local role sealcast_user;"
    echo "$2"
    echo "commit;"
  } > "$directory/script.sql"
  pgbench -n -t "$1" -f "$directory/script.sql" --log --log-prefix="$directory/log" > /dev/null 2>&1
  cat "$directory"/log* | awk '{print $3 / 1000}' | sort -n |
    awk '{v[NR] = $1} END {printf "%.2f [%.2f]", v[int((NR + 1) / 2)], v[int(NR * 0.99 + 0.99)]}'
}
query -c "create table public.bench_streams as select (row_number() over () - 1)::integer as i, stream_id
  from sealcast.streams where title = 'history'" -c "create index on public.bench_streams (i)"
row "the newest 50 messages of a stream" "$(page "$ROWS" "select count(envelope) from sealcast.history(':stream');")"
row "50 messages in the middle of a stream" "$(page "$ROWS" "select count(envelope) from sealcast.history(':stream', $oldest);")"
row "the newest 50 before them" "$(page "$ROWS" "select count(envelope) from sealcast.history(':stream', before => $oldest);")"
row "the history of a stream that has been quiet for $DAYS days" "$(page "$ROWS" "select count(*) from sealcast.history('$quiet');")"
row "no history: the transaction alone" "$(page "$ROWS" "select 1;")"
row "by policy, without history(): the newest 50 messages of a stream" \
  "$(page 20 "select count(sealcast.envelope(m)) from (select * from sealcast.messages where stream_id = ':stream' order by ts desc, message_id desc limit 50) m;")"
echo
echo "Filling took $filled s. The database has $(query -c "select pg_size_pretty(pg_database_size(current_database()))")."

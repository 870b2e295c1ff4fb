# Compares send_message() from SQL with a function in plpgsql and pgcrypto; 8 pgbench clients call them.
# shellcheck shell=bash disable=SC2153,SC2154,SC2034 # run.sh and stack.sh set these variables
echo "## send_message() from SQL"
echo
rounds=$((2 * ROUNDS))
echo "8 pgbench clients, prepared statements, $rounds interleaved rounds of $SECONDS_EACH s after a warm-up of 1 s."
echo "Each message is one transaction. Neither side uses Redis: sealcast.gate is off. The relay runs, or for the peer a"
echo "session with LISTEN. Messages per second:"
echo
header setup sealcast "plpgsql, pgcrypto, pg_notify" ratio

query -f bench/peers/pgcrypto.sql
stream=$(new_stream)
d="{\"type\": \"chat\", \"lang\": \"en\", \"content\": \"$(printf 'x%.0s' {1..140})\"}"

# sql_rate SCHEMA SECONDS: prints messages per second.
sql_rate() {
  PGOPTIONS="-c sealcast.gate=off -c request.jwt.claims={\"sub\":\"0190d000-0000-7000-8000-0000000000a1\"}" \
    pgbench -n -M prepared -c 8 -j 1 -T "$2" \
    -f <(echo "select $1.send_message('$stream', 'bench', '$d', gen_random_uuid());") 2> "$SEALCAST_LOCAL/pgbench.log" |
    sed -nE 's/^tps = ([0-9.]+) .*/\1/p'
}

# rate_of SIDE: prints messages per second after a warm-up. The side `unnotified` sends no NOTIFY: a commit only sets a
# flag, and the background worker that would notify is frozen.
rate_of() {
  local schema=sealcast worker=
  [[ $1 != peer ]] || schema=peer
  sql_rate $schema 1 > /dev/null
  if [[ $1 == unnotified ]]; then
    worker=$(query -c "select pid from pg_stat_activity
      where backend_type = 'sealcast wake' and datname = current_database()")
    kill -STOP "$worker"
  fi
  sql_rate $schema "$SECONDS_EACH"
  [[ -z $worker ]] || kill -CONT "$worker"
}

# All sides run all the time, because an idle side costs nothing. Every second round has the reverse order.
start_sealcastd
node bench/peers/node/listen.mjs &
peer=$!
declare -A rates=()
for ((round = 0; round < rounds; round++)); do
  order=(notified unnotified peer)
  ((round % 2 == 0)) || order=(peer unnotified notified)
  for side in "${order[@]}"; do rates[$side]+=" $(rate_of "$side")"; done
done
stop_peer
stop_sealcastd
row "with a relay or listener" "$(compared "${rates[notified]}" "${rates[peer]}")"
echo
echo "The cost of NOTIFY for sealcast with a relay. Messages per second:"
echo
header "" with without ratio
row "with a relay" "$(compared "${rates[notified]}" "${rates[unnotified]}")"

# send_message() called from SQL by 8 pgbench clients, beside a function of plpgsql and pgcrypto.
# shellcheck shell=bash disable=SC2153,SC2154,SC2034 # what run.sh and stack.sh set
echo "## send_message() from SQL"
echo
rounds=$((2 * ROUNDS))
echo "8 pgbench clients, prepared statements, $rounds interleaved rounds of $SECONDS_EACH s after a warm-up of 1 s, one"
echo "transaction a message; sealcast.gate = off, and no Redis on either side. The relay, or a session that listens, is"
echo "there. Messages a second:"
echo
header what sealcast "plpgsql, pgcrypto, pg_notify" ratio

query -f bench/peers/pgcrypto.sql
stream=$(new_stream)
d="{\"type\": \"chat\", \"lang\": \"en\", \"content\": \"$(printf 'x%.0s' {1..140})\"}"

# sql_rate SCHEMA SECONDS: messages a second.
sql_rate() {
  PGOPTIONS="-c sealcast.gate=off -c request.jwt.claims={\"sub\":\"0190d000-0000-7000-8000-0000000000a1\"}" \
    pgbench -n -M prepared -c 8 -j 1 -T "$2" \
    -f <(echo "select $1.send_message('$stream', 'bench', '$d', gen_random_uuid());") 2> "$SEALCAST_LOCAL/pgbench.log" |
    sed -nE 's/^tps = ([0-9.]+) .*/\1/p'
}

# rate_of SIDE, after a warm-up. While its worker is frozen nothing notifies: a commit of sealcast's only raises a flag.
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

# All stay up, since what is idle costs nothing; every second round goes in the other order.
ours_up
node bench/peers/node/listen.mjs &
peer=$!
declare -A rates=()
for ((round = 0; round < rounds; round++)); do
  order=(notified unnotified peer)
  ((round % 2 == 0)) || order=(peer unnotified notified)
  for side in "${order[@]}"; do rates[$side]+=" $(rate_of "$side")"; done
done
peer_down
ours_down
row "relayed, beside a listener" "$(compared "${rates[notified]}" "${rates[peer]}")"
echo
echo "What NOTIFY costs sealcast, while the relay is there. Messages a second:"
echo
header "" with without ratio
row "relayed" "$(compared "${rates[notified]}" "${rates[unnotified]}")"

# send_message() called from SQL by 8 pgbench clients, beside a function of plpgsql and pgcrypto.
# shellcheck shell=bash disable=SC2154,SC2034 # what run.sh and stack.sh set
echo "## send_message() from SQL"
echo
echo "8 pgbench clients, prepared statements, $SECONDS_EACH s a round, one transaction a message; sealcast.gate = off,"
echo "and no Redis on either side. The relay, or a session that listens, is there. Messages a second:"
echo
header what sealcast "plpgsql, pgcrypto, pg_notify" ratio

query -f bench/peers/pgcrypto.sql
stream=$(new_stream)
d="{\"type\": \"chat\", \"lang\": \"en\", \"content\": \"$(printf 'x%.0s' {1..140})\"}"

# sql_rate SCHEMA: messages a second.
sql_rate() {
  PGOPTIONS="-c sealcast.gate=off -c request.jwt.claims={\"sub\":\"0190d000-0000-7000-8000-0000000000a1\"}" \
    pgbench -n -M prepared -c 8 -j 1 -T "$SECONDS_EACH" \
    -f <(echo "select $1.send_message('$stream', 'bench', '$d', gen_random_uuid());") 2> "$SEALCAST_LOCAL/pgbench.log" |
    sed -nE 's/^tps = ([0-9.]+) .*/\1/p'
}

# A commit only raises a flag; the worker that notifies for all of them is frozen, and no NOTIFY is left. It goes when
# nothing is sent for 3 s, so it is looked for at once.
sql_rate_without_notify() {
  local worker
  SECONDS_EACH=1 sql_rate sealcast > /dev/null
  worker=$(query -c "select pid from pg_stat_activity
    where backend_type = 'sealcast wake' and datname = current_database()")
  kill -STOP "$worker"
  sql_rate sealcast
  kill -CONT "$worker"
}

declare -A rates=()
for ((round = 0; round < ROUNDS; round++)); do
  ours_up
  rates[ours]+=" $(sql_rate sealcast)"
  ours_down
  rates[alone]+=" $(sql_rate sealcast)"
  rates[silent]+=" $(sql_rate_without_notify)"
  begin_side
  node bench/peers/node/listen.mjs &
  peer=$!
  rates[peer]+=" $(sql_rate peer)"
  peer_down
done
row "relayed, beside a listener" "$(compared "${rates[ours]}" "${rates[peer]}")"
echo
echo "What telling costs sealcast. Messages a second:"
echo
header "" with without ratio
row "a sidecar that relays" "$(compared "${rates[ours]}" "${rates[alone]}")"
row "NOTIFY, no sidecar" "$(compared "${rates[alone]}" "${rates[silent]}")"

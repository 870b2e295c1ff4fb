# Compares POST /rpc/send_message with a peer on Node.js. Both check the session, ask Redis, sign, and commit durably.
# shellcheck shell=bash disable=SC2153,SC2154 # run.sh and stack.sh set these variables
echo "## POST /rpc/send_message"
echo
echo "64 connections, 1000 senders, $SECONDS_EACH s after a warm-up of 2 s. Every answer is verified: it must be"
echo "the exact envelope of its message, signed by a key of the keyring. The peer checks no roles, bans or streams, and"
echo "has no outbox."
echo
echo "Closed loop: each connection sends its next request when it has received the answer. Answers per second:"
echo
query -f bench/peers/node/schema.sql

header "d" sealcastd "Node.js" ratio "p99 ms: sealcastd" "p99 ms: Node.js" "load generator's CPU s per million answers"
for bytes in 200 2000; do
  declare -A rates=() p99=()
  for ((round = 0; round < ROUNDS; round++)); do
    for side in sealcastd peer; do
      "start_$side"
      result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --bytes "$bytes")
      "stop_$side"
      rates[$side]+=" $(numbers "$result" answers_per_s)"
      p99[$side]+=" $(numbers "$result" p99_ms)"
    done
  done
  # shellcheck disable=SC2086 # lists
  row "$bytes B" "$(compared "${rates[sealcastd]}" "${rates[peer]}")" "$(spread ${p99[sealcastd]})" \
    "$(spread ${p99[peer]})" "$(numbers "$result" cpu_s_per_million)"
done

echo
echo "Open loop: requests are due at a fixed rate. The latency of a request begins when it is due, also if it is sent"
echo "later. One reader follows sealcastd's stream. The latency of a frame begins when its message was due."
echo
header side rate "answers/s" "p50 ms" "p99 ms" "p99.9 ms" "answers by status" \
  "frames/s" "frames: p50 ms" "p99 ms"
for rate in $RATES; do
  for side in sealcastd peer; do
    "start_$side"
    readers=$([[ $side == peer ]] || echo 1)
    result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --rate "$rate" --subscribers "${readers:-0}")
    "stop_$side"
    mapfile -t answers < <(numbers "$result" answers_per_s p50_ms p99_ms p999_ms)
    frames=("" "" "")
    if [[ -n $readers ]]; then
      mapfile -t frames < <(numbers "$result" subscribers.{deliveries_per_s,p50_ms,p99_ms})
    fi
    row "$side" "$rate/s" "${answers[@]}" "$(statuses "$result")" "${frames[@]}"
  done
done

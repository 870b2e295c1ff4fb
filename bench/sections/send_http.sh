# POST /rpc/send_message beside the peer on Node.js: both check the session, ask Redis, sign, and commit durably.
# shellcheck shell=bash disable=SC2153,SC2154 # what run.sh and stack.sh set
echo "## POST /rpc/send_message"
echo
echo "64 connections, 1000 senders, $SECONDS_EACH s after a warm-up of 2 s. Every answer is verified: the envelope of that"
echo "message to the byte, signed by a key of the keyring. The peer checks no roles, bans or streams, and has no outbox."
echo
echo "Closed loop: a connection sends its next request when it has its answer. Answers a second:"
echo
query -f bench/peers/node/schema.sql

header "d" sealcastd "Node.js" ratio "p99 ms: sealcastd" "p99 ms: Node.js" "load's CPU s per million answers"
for bytes in 200 2000; do
  declare -A rates=() p99=()
  for ((round = 0; round < ROUNDS; round++)); do
    for side in ours peer; do
      "${side}_up"
      result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --bytes "$bytes")
      "${side}_down"
      rates[$side]+=" $(numbers "$result" answers_per_s)"
      p99[$side]+=" $(numbers "$result" p99_ms)"
    done
  done
  # shellcheck disable=SC2086 # lists
  row "$bytes B" "$(compared "${rates[ours]}" "${rates[peer]}")" "$(spread ${p99[ours]})" "$(spread ${p99[peer]})" \
    "$(numbers "$result" cpu_s_per_million)"
done

echo
echo "Open loop: requests are due at a fixed rate, and their time counts from then, also while they wait to be sent. One"
echo "reader follows sealcastd's stream: its time counts from when the message was due to when its frame came."
echo
header side rate "answers/s" "p50 ms" "p99 ms" "p99.9 ms" "answers by status" \
  "frames/s" "to the frame: p50 ms" "p99 ms"
for rate in $RATES; do
  for side in ours peer; do
    "${side}_up"
    readers=$([[ $side == peer ]] || echo 1)
    result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --rate "$rate" --subscribers "${readers:-0}")
    "${side}_down"
    mapfile -t answers < <(numbers "$result" answers_per_s p50_ms p99_ms p999_ms)
    frames=("" "" "")
    if [[ -n $readers ]]; then
      mapfile -t frames < <(numbers "$result" subscribers.{deliveries_per_s,p50_ms,p99_ms})
    fi
    row "$side" "$rate/s" "${answers[@]}" "$(statuses "$result")" "${frames[@]}"
  done
done

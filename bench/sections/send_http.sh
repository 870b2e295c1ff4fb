# POST /rpc/send_message beside the peer on Node.js: both check the session, ask Redis, sign, and commit durably.
echo "## POST /rpc/send_message"
echo
echo "64 connections, 1000 senders, ${SECONDS_EACH} s after a warm-up of 2 s. Every answer is verified: the envelope of that"
echo "message to the byte, signed by a key of the keyring. The peer checks no roles, bans or streams, and keeps no outbox."
echo
echo "Closed loop: a connection sends its next request when it has its answer. Answers a second:"
echo
header "d" sealcastd "Node.js" ratio "p99 ms: sealcastd" "p99 ms: Node.js" "load's CPU s per million"
for bytes in 200 2000; do
  ours='' theirs='' ours_p99='' theirs_p99=''
  for ((round = 0; round < ROUNDS; round++)); do
    ours_up
    result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --bytes "$bytes")
    ours+=" $(field answers_per_s <<< "$result")" ours_p99+=" $(field p99_ms <<< "$result")"
    cost=$(field cpu_s_per_million <<< "$result")
    ours_down
    peer_up
    result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --bytes "$bytes")
    theirs+=" $(field answers_per_s <<< "$result")" theirs_p99+=" $(field p99_ms <<< "$result")"
    peer_down
  done
  # shellcheck disable=SC2086 # lists
  row "$bytes B" "$(compared "$ours" "$theirs")" "$(spread $ours_p99)" "$(spread $theirs_p99)" "$cost"
done

echo
echo "Open loop: requests are due at a fixed rate, and their time counts from then, whether or not the load generator could"
echo "send them. One reader follows the stream: its time counts from when the message was due to when the frame arrived."
echo
header side rate "answers/s" "p50 ms" "p99 ms" "p99.9 ms" "frames/s" "to the frame: p50 ms" "p99 ms" answers
for rate in $RATES; do
  for side in ours peer; do
    "${side}_up"
    if [[ $side == ours ]]; then readers=1; else readers=0; fi
    result=$(load --stream "$(new_stream)" --seconds "$SECONDS_EACH" --rate "$rate" --subscribers "$readers")
    frames=("" "" "")
    if ((readers)); then
      frames=()
      for name in deliveries_per_s p50_ms p99_ms; do frames+=("$(field "subscribers.$name" <<< "$result")"); done
    fi
    row "$side" "$rate/s" "$(field answers_per_s <<< "$result")" "$(field p50_ms <<< "$result")" "$(field p99_ms <<< "$result")" \
      "$(field p999_ms <<< "$result")" "${frames[@]}" "$(statuses <<< "$result")"
    "${side}_down"
  done
done

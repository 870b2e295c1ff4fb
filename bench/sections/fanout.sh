# One stream's messages to many event streams.
echo "## Fan-out to event streams"
echo
echo "Readers of one stream in one process, $RATE_TO_READERS messages a second. A reader's time counts from when the message was due to be"
echo "sent; every frame is compared, the first of each verified. Memory is sealcastd's."
echo
header readers "frames/s" "p50 ms" "p99 ms" "max ms" "gaps, duplicates, missing" "KiB a reader" "MiB at the end" "load's CPU s"
for readers in $READERS; do
  ours_up SEALCAST_HTTP_MAX_CONNECTIONS=$((readers + 1000)) SEALCAST_SSE_MAX_SUBSCRIBERS="$readers"
  result=$(load --stream "$(new_stream)" --connections 4 --rate "$RATE_TO_READERS" --seconds "$SECONDS_EACH" --subscribers "$readers" \
    --server-pid "$server_pid")
  row "$readers" "$(field subscribers.deliveries_per_s <<< "$result")" "$(field subscribers.p50_ms <<< "$result")" \
    "$(field subscribers.p99_ms <<< "$result")" "$(field subscribers.max_ms <<< "$result")" \
    "$(field subscribers.gaps <<< "$result"), $(field subscribers.duplicates <<< "$result"), $(field subscribers.missing <<< "$result")" \
    "$(awk -v a="$(field server_kib.alone <<< "$result")" -v b="$(field server_kib.subscribed <<< "$result")" -v n="$readers" \
      'BEGIN { printf "%.1f", (b - a) / n }')" \
    "$(($(field server_kib.end <<< "$result") / 1024))" "$(field cpu_s <<< "$result")"
  ours_down
done

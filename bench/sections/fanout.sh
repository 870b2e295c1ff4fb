# One stream's messages to many event streams.
# shellcheck shell=bash disable=SC2153,SC2154 # what run.sh and stack.sh set
echo "## Fan-out to event streams"
echo
echo "Readers of one stream in one process, $RATE_TO_READERS messages a second. A reader's time counts from when the"
echo "message was due to be sent; every frame is compared, the first of each verified. Memory and CPU are sealcastd's."
echo
header readers "frames/s" "p50 ms" "p99 ms" "max ms" gaps duplicates missing "KiB a reader" "MiB at the end" \
  "CPU s" "load's CPU s"
for readers in $READERS; do
  ours_up SEALCAST_HTTP_MAX_CONNECTIONS=$((readers + 1000)) SEALCAST_SSE_MAX_SUBSCRIBERS="$readers"
  result=$(load --stream "$(new_stream)" --connections 4 --rate "$RATE_TO_READERS" --seconds "$SECONDS_EACH" \
    --subscribers "$readers" --server-pid "$server_pid")
  ours_down
  mapfile -t frames < <(numbers "$result" subscribers.{deliveries_per_s,p50_ms,p99_ms,max_ms,gaps,duplicates,missing})
  mapfile -t kib < <(numbers "$result" server_kib.{alone,subscribed,end})
  mapfile -t cpu < <(numbers "$result" server_cpu_s cpu_s)
  row "$readers" "${frames[@]}" "$(quotient $((kib[2] - kib[0])) "$readers")" "$((kib[2] / 1024))" "${cpu[@]}"
done

# Measures the delivery of one stream's messages to many SSE readers.
# shellcheck shell=bash disable=SC2153,SC2154 # run.sh and stack.sh set these variables
echo "## Fan-out to SSE readers"
echo
echo "All readers read one stream from one sidecar, at $RATE_TO_READERS messages per second. The latency of a frame"
echo "begins when its message was due. The first copy of each frame is verified, and the other copies are compared with"
echo "it. Memory and CPU time are those of sealcastd."
echo
header readers "frames/s" "p50 ms" "p99 ms" "max ms" gaps duplicates missing "KiB per reader" "MiB at the end" \
  "CPU s" "load generator's CPU s"
for readers in $READERS; do
  start_sealcastd SEALCAST_HTTP_MAX_CONNECTIONS=$((readers + 1000)) SEALCAST_SSE_MAX_SUBSCRIBERS="$readers"
  result=$(load --stream "$(new_stream)" --connections 4 --rate "$RATE_TO_READERS" --seconds "$SECONDS_EACH" \
    --subscribers "$readers" --server-pid "$server_pid")
  stop_sealcastd
  mapfile -t frames < <(numbers "$result" subscribers.{deliveries_per_s,p50_ms,p99_ms,max_ms,gaps,duplicates,missing})
  mapfile -t kib < <(numbers "$result" server_kib.{alone,subscribed,end})
  mapfile -t cpu < <(numbers "$result" server_cpu_s cpu_s)
  row "$readers" "${frames[@]}" "$(quotient $((kib[2] - kib[0])) "$readers")" "$((kib[2] / 1024))" "${cpu[@]}"
done

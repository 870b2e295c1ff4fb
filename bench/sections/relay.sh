# The relay's backlog: filled by admit() without a sidecar, then drained by one that starts.
echo "## The relay's backlog"
echo
echo "$BACKLOG messages in 16 streams, admitted by 2 pgbench clients in batches of 256 while no sidecar runs; then one starts."
echo "Its transport is sse, without readers; redis_streams does not exist yet."
echo
header what "rows/s" s "sealcastd's memory, MiB: at its start" highest
memory_kib() { sed -nE 's/^VmRSS:\s*([0-9]+) kB/\1/p' "/proc/$server_pid/status"; }
ours_up
empty=$(memory_kib)
ours_down
mapfile -t streams < <(query -c "insert into sealcast.streams (title) select 'backlog' from generate_series(1, 16) returning stream_id")
batch="select count(*) from (
  select array_agg(('{$(IFS=, && echo "${streams[*]}")}'::uuid[])[1 + i % 16]) as streams, array_agg('bench'::text) as types,
    array_agg(gen_random_uuid()) as senders, array_agg(gen_random_uuid()) as txns,
    array_agg('{\"type\": \"chat\", \"content\": \"$(printf 'x%.0s' {1..160})\"}'::text) as payloads
  from generate_series(1, 256) i) b, sealcast.admit(streams, types, senders, txns, payloads);"
began=$EPOCHREALTIME
pgbench -n -M prepared -c 2 -j 1 -t $((BACKLOG / 512)) -f <(tr '\n' ' ' <<< "$batch") > "$SEALCAST_LOCAL/pgbench.log" 2>&1
sent=$((BACKLOG / 512 * 512))
took() { awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
filled=$(took)
row "admitted" "$(awk -v n=$sent -v s="$filled" 'BEGIN { printf "%.0f", n / s }')" "$filled" "" ""

ours_up
relayed() { curl -sf "$SEALCAST_URL/metrics" | sed -nE 's/^sealcast_relay_messages_total(\{.*\})? ([0-9.e+]+)$/\2/p' | awk '{ n += $1 } END { printf "%d", n }'; }
# Seconds since the process began, which is before it is ready.
alive() { awk -v began="$(awk '{ print $22 }' "/proc/$server_pid/stat")" -v ticks="$(getconf CLK_TCK)" '{ printf "%.1f", $1 - began / ticks }' /proc/uptime; }
highest=0
while (($(relayed) < sent)); do
  now=$(memory_kib)
  highest=$((now > highest ? now : highest))
  (($(alive | cut -d. -f1) < 300)) || { echo "bench: $(relayed) of $sent messages relayed after 300 s" >&2; exit 1; }
  sleep 0.1
done
drained=$(alive)
ours_down
row "drained" "$(awk -v n=$sent -v s="$drained" 'BEGIN { printf "%.0f", n / s }')" "$drained" "$((empty / 1024))" "$((highest / 1024))"
offsets=$(query -c "select sum(sealcast.last_offset(stream_id)) from sealcast.streams where title = 'backlog'")
((offsets == sent)) || { echo "bench: $offsets offsets for $sent messages" >&2; exit 1; }

# The relay's backlog: filled by admit() without a sidecar, then drained by one that starts.
# shellcheck shell=bash disable=SC2154 # what run.sh and stack.sh set
echo "## The relay's backlog"
echo
echo "Messages in 16 streams, admitted by 2 pgbench clients in batches of 256 while no sidecar runs; then one starts."
echo "Its transport is sse, without readers; redis_streams does not exist yet."
echo
header what messages s "a second" "sealcastd's memory, MiB: at its start" highest

memory_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$server_pid/status"; }
ours_up
empty=$(memory_kib)
ours_down

mapfile -t streams < <(query -c "insert into sealcast.streams (title) select 'backlog' from generate_series(1, 16)
  returning stream_id")
content=$(printf 'x%.0s' {1..160})
batch="select count(*) from (
  select array_agg(('{$(IFS=, && echo "${streams[*]}")}'::uuid[])[1 + i % 16]) as stream_ids,
    array_agg('bench'::text) as types,
    array_agg(gen_random_uuid()) as sender_ids, array_agg(gen_random_uuid()) as txn_ids,
    array_agg('{\"type\": \"chat\", \"content\": \"$content\"}'::text) as payloads
  from generate_series(1, 256) i) b, sealcast.admit(stream_ids, types, sender_ids, txn_ids, payloads);"
sent=$((BACKLOG / 512 * 512))
log=$SEALCAST_LOCAL/pgbench.log
pgbench -n -M prepared -c 2 -j 1 -t $((BACKLOG / 512)) -f <(tr '\n' ' ' <<< "$batch") &> "$log"
filled=$(quotient $((sent / 256)) "$(sed -nE 's/^tps = ([0-9.]+) .*/\1/p' "$log")")
row "admitted" "$sent" "$filled" "$(quotient "$sent" "$filled")" "" ""

ours_up
relayed() {
  curl -sf "$SEALCAST_URL/metrics" | awk '/^sealcast_relay_messages_total/ { n += $NF } END { printf "%d", n }'
}
# Seconds since the process began, which is before it is ready.
alive() {
  awk -v began="$(awk '{ print $22 }' "/proc/$server_pid/stat")" -v ticks="$(getconf CLK_TCK)" \
    '{ printf "%.1f", $1 - began / ticks }' /proc/uptime
}
highest=0
while (($(relayed) < sent)); do
  now=$(memory_kib)
  highest=$((now > highest ? now : highest))
  if (($(alive | cut -d. -f1) > 600)); then
    echo "bench: $(relayed) of $sent messages relayed after 600 s" >&2
    exit 1
  fi
  sleep 0.1
done
drained=$(alive)
ours_down
row "drained" "$sent" "$drained" "$(quotient "$sent" "$drained")" "$((empty / 1024))" "$((highest / 1024))"
offsets=$(query -c "select sum(sealcast.last_offset(stream_id)) from sealcast.streams where title = 'backlog'")
((offsets == sent)) || {
  echo "bench: $offsets offsets for $sent messages" >&2
  exit 1
}

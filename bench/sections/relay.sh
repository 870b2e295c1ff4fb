# Measures how fast a new sidecar relays a backlog. admit() fills the backlog while no sidecar runs.
# shellcheck shell=bash disable=SC2154 # run.sh and stack.sh set these variables
echo "## The relay's backlog"
echo
echo "Two pgbench clients admit messages to 16 streams in batches of 256 while no sidecar runs. Then a sidecar starts."
echo "It has the transport sse and no readers."
echo
header step messages s "per second" "sealcastd's memory, MiB: at its start" highest

memory_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$server_pid/status"; }
start_sealcastd
empty=$(memory_kib)
stop_sealcastd

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

start_sealcastd
relayed() {
  curl -sf "$SEALCAST_URL/metrics" | awk '/^sealcast_relay_messages_total/ { n += $NF } END { printf "%d", n }'
}
# Prints the seconds since the sidecar process started; the sidecar relays before it is ready.
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
stop_sealcastd
row "relayed" "$sent" "$drained" "$(quotient "$sent" "$drained")" "$((empty / 1024))" "$((highest / 1024))"
offsets=$(query -c "select sum(sealcast_internal.last_offset(stream_id)) from sealcast.streams where title = 'backlog'")
((offsets == sent)) || {
  echo "bench: $offsets offsets for $sent messages" >&2
  exit 1
}

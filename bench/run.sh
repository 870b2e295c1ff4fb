#!/bin/bash
# The figures of this machine: brings a stack of its own up, measures, and prints a report that also goes to results/.
# `bench/run.sh --record` makes it bench/RESULTS.md. SECONDS_EACH (20), ROUNDS (3) and ROWS (20000) set the length.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${SECONDS_EACH:-20}
rounds=${ROUNDS:-3}
rows=${ROWS:-20000}
build=${SEALCAST_BUILD:-build}
connections=64

local/deps run build bench
local/cmake "$build" sealcast_load > /dev/null

SEALCAST_LOCAL=$(mktemp -d /tmp/sealcast-bench-XXXXXX)
export SEALCAST_LOCAL
chmod 755 "$SEALCAST_LOCAL"
trap 'local/down; rm -rf "$SEALCAST_LOCAL"' EXIT
trap 'exit 130' INT TERM HUP
local/up postgres redis > /dev/null
# shellcheck source=/dev/null
. "$SEALCAST_LOCAL/env"
export PGHOST PGPORT PGDATABASE PGUSER
query() { psql -X -q -v ON_ERROR_STOP=1 -At "$@"; }

# The sidecar reads message types at its start. The rate keeps the gate at work but never closed.
query -c "insert into sealcast.message_types (t, rate) values ('bench', 1000)"
local/up > /dev/null
# shellcheck source=/dev/null
. "$SEALCAST_LOCAL/env"
secret=$SEALCAST_LOCAL/session-secret
(umask 077 && printf %s "$SEALCAST_JWT_SECRET" > "$secret")

report=results/$(date -u +%Y-%m-%dT%H%M%SZ).md
mkdir -p results

machine() {
  local cores memory disk
  cores=$(nproc)
  memory=$(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)
  disk=$(df --output=fstype "$SEALCAST_LOCAL" | tail -n 1)
  echo "- Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $cores cores, $memory, $disk; $(uname -sr). The load generator runs on it too."
  echo "- Load when it began: $(cut -d' ' -f1-3 /proc/loadavg)"
  echo "- Versions: $(query -c "select split_part(version(), ' (', 1)"), $(redis-server --version | sed -E 's/.* v=([^ ]*) .*/Redis \1/'), $("$build/sealcastd" --version), $(g++ --version | head -n 1)"
  echo "- Postgres: $(query -c "select string_agg(name || ' = ' || current_setting(name), ', ' order by name) from pg_settings
    where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'wal_sync_method', 'max_wal_size')")"
  echo "- Commit: $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- extension sidecar sql bench || echo ' with changes')"
}

# One run of the load generator as a row of the table; NAME, then its options.
send_messages() {
  local name=$1 result stream stored answered
  shift
  stream=$(query -c "insert into sealcast.streams (title) values ('bench') returning stream_id" | head -n 1)
  result=$("$build/sealcast_load" --port "${SEALCAST_URL##*:}" --stream "$stream" --type bench --connections "$connections" \
    --seconds "$seconds" --session-secret "$secret" --keyring "$SEALCAST_KEYRING" "$@") || true
  echo "$name $result" >> "${report%.md}.jsonl"
  field() { sed -nE "s/.*\"$1\":([^,}]*).*/\1/p" <<< "$result"; }
  statuses=$(sed -nE 's/.*"statuses":\{([^}]*)\}.*/\1/p' <<< "$result" | tr -d '"')
  # Warm-up and what came after the end are stored too: no acknowledged message may be missing.
  stored=$(query -c "select count(*) from sealcast.messages where stream_id = '$stream'")
  answered=$(sed -nE 's/.*200:([0-9]+).*/\1/p' <<< "$statuses")
  ((stored >= ${answered:-0})) || { echo "bench: $answered answers of 200, but $stored messages stored" >&2; exit 1; }
  printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$name" "$(field answers_per_s)" "$(field p50_ms)" "$(field p99_ms)" \
    "$(field p999_ms)" "$statuses" "$(field forged)" "$(($(field lost) + $(field unanswered)))" "$(field cpu_s)"
}

{
  echo "# Figures"
  echo
  echo "Written by \`bench/run.sh\` on $(date -u +%Y-%m-%d)."
  echo
  machine
  echo
  echo "## Sealing in one backend"
  echo
  echo "Rows a second: median, least and most of $rounds interleaved rounds over $rows rows."
  echo
  echo "| canonical bytes | what | median | least | most |"
  echo "|---|---|---|---|---|"
  query -v rows="$rows" -v rounds="$rounds" -f bench/seal.sql | sed -E 's/\|/ | /g; s/^(.*)$/| \1 |/'
  echo
  echo "## POST /rpc/send_message, commit durable"
  echo
  echo "$connections connections, 1000 senders, $seconds s after a warm-up of 2 s; every answer of 200 is verified: the envelope of"
  echo "that message to the byte, signed by a key of the keyring. Closed loop: a connection sends its next request when it"
  echo "has its answer. Open loop: requests are due at a fixed rate, and their time counts from then."
  echo
  echo "| run | answers/s | p50 ms | p99 ms | p99.9 ms | answers by status | not verified | without answer | CPU s of the load |"
  echo "|---|---|---|---|---|---|---|---|---|"
  for ((round = 1; round <= rounds; round++)); do send_messages "closed loop, d of 200 B, round $round" --bytes 200; done
  send_messages "closed loop, d of 2 KB" --bytes 2000
  for rate in 1000 5000 10000; do send_messages "open loop, $rate/s, d of 200 B" --rate "$rate" --bytes 200; done
} | tee "$report"
[[ ${1-} != --record ]] || cp "$report" bench/RESULTS.md

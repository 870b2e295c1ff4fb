#!/bin/bash
# Measures Sealcast and simple alternatives on this machine: bench/run.sh [--record] [SECTION…]
# Starts its own stack, runs all sections or the named ones, prints a report and saves it in results/. --record also
# saves it as bench/RESULTS.md. The variables below set the lengths. All sections take 15 minutes, with FULL=1 an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sections=(seal send_http cpu send_sql fanout relay growth history)
known=("${sections[@]}")
record=
if [[ ${1-} == --record ]]; then
  record=1
  shift
fi
(($# == 0)) || sections=("$@")
for section in "${sections[@]}"; do
  [[ -e bench/sections/$section.sh ]] || {
    echo "bench: unknown section '$section'; the sections are: ${known[*]}" >&2
    exit 2
  }
done

FULL=${FULL-}
ROUNDS=${ROUNDS:-3}                             # interleaved rounds of a comparison; more if a round is short
SECONDS_EACH=${SECONDS_EACH:-8}                 # seconds of each run
ROWS=${ROWS:-5000}                              # rows to seal in each round
RATES=${RATES:-1000 5000 10000}                 # messages per second in the open loop
READERS=${READERS:-1000 10000}                  # readers of one stream
RATE_TO_READERS=${RATE_TO_READERS:-20}          # messages per second to these readers
BACKLOG=${BACKLOG:-1000000}                     # messages that wait for the relay
STORED=${STORED:-$((FULL ? 20000000 : 2000000))} # messages in the large database
HELD_OPEN=${HELD_OPEN:-$((FULL ? 600 : 60))}    # seconds that a transaction stays open

build=${SEALCAST_BUILD:-build}
local/deps run build test bench
local/cmake "$build" sealcastd sealcast_load > /dev/null
local/npm bench/peers/node > /dev/null

mkdir -p results
report=results/$(date -u +%Y-%m-%dT%H%M%SZ).md
. bench/stack.sh
. bench/table.sh
stack_up

machine() {
  local processor memory disk settings packages changes
  processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  memory=$(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)
  settings=$(postgres_settings | sed -E "s/^([a-z_]+) .*/'\1'/" | paste -sd,)
  disk=$(df --output=fstype "$SEALCAST_LOCAL" | tail -n 1)
  packages=$(node -p "Object.entries(require('./bench/peers/node/package.json').dependencies)
    .map((d) => d.join(' ')).join(', ')")
  changes=$(git diff --quiet HEAD -- core extension sidecar sql bench || echo ' with changes')
  echo "- Machine: $processor, $(nproc) cores, $memory, $disk; $(uname -sr). It also runs the load generator."
  echo "- Load average at the start: $(cut -d' ' -f1-3 /proc/loadavg)"
  echo "- Versions: $(query -c "select split_part(version(), ' (', 1)")," \
    "$(redis-server --version | sed -E 's/.* v=([^ ]*) .*/Redis \1/'), $("$build/sealcastd" --version)," \
    "$(g++ --version | head -n 1), Node.js $(node --version) with $packages"
  echo "- Postgres settings of both sides: $(query -c "
    select string_agg(name || ' = ' || current_setting(name), ', ' order by name) from pg_settings
    where name in ($settings, 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'wal_compression')")"
  echo "- sealcastd has its default settings, unless a section changes them. The peer has the fastest setup that" \
    "was found (processes: $PEER_PROCESSES, connections to Postgres: $PEER_POOL)."
  echo "- Commit: $(git rev-parse --short HEAD)$changes"
}

exec {screen}>&1 > >(tee "$report")
tee=$!
echo "# Figures"
echo
echo "Written by \`bench/run.sh\` on $(date -u +%Y-%m-%d). Several rounds give a median [minimum–maximum]. A ratio"
echo "compares two runs of the same round: Sealcast divided by the peer."
echo
machine
for section in "${sections[@]}"; do
  echo
  # shellcheck source=/dev/null
  . "bench/sections/$section.sh"
done
exec >&"$screen"
wait "$tee"
[[ -z $record ]] || cp "$report" bench/RESULTS.md

#!/bin/bash
# The figures of this machine, beside what one would build instead: bench/run.sh [--record] [SECTION…]
# Brings a stack of its own up, runs all sections or those named, and prints a report that also goes to results/;
# --record makes it bench/RESULTS.md. Lengths are the variables below; FULL=1 takes an hour instead of a quarter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

sections=(seal send_http bill send_sql fanout relay growth)
record=
if [[ ${1-} == --record ]]; then
  record=1
  shift
fi
(($# == 0)) || sections=("$@")
for section in "${sections[@]}"; do
  [[ -e bench/sections/$section.sh ]] || {
    echo "bench: there is no section '$section'" >&2
    exit 2
  }
done

FULL=${FULL-}
ROUNDS=${ROUNDS:-3}                             # of what is compared, interleaved; more where a round is short
SECONDS_EACH=${SECONDS_EACH:-8}                 # of each run
ROWS=${ROWS:-5000}                              # sealed a round
RATES=${RATES:-1000 5000 10000}                 # of the open loop
READERS=${READERS:-1000 10000}                  # of one stream
RATE_TO_READERS=${RATE_TO_READERS:-20}          # messages a second to them
BACKLOG=${BACKLOG:-1000000}                     # messages to be relayed
STORED=${STORED:-$((FULL ? 20000000 : 2000000))} # messages that the database has grown to
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
  changes=$(git diff --quiet HEAD -- extension sidecar sql bench || echo ' with changes')
  echo "- Machine: $processor, $(nproc) cores, $memory, $disk; $(uname -sr). Everything runs on it, the load generator too."
  echo "- Load when it began: $(cut -d' ' -f1-3 /proc/loadavg)"
  echo "- Versions: $(query -c "select split_part(version(), ' (', 1)")," \
    "$(redis-server --version | sed -E 's/.* v=([^ ]*) .*/Redis \1/'), $("$build/sealcastd" --version)," \
    "$(g++ --version | head -n 1), Node.js $(node --version) with $packages"
  echo "- Postgres, the same for both sides: $(query -c "
    select string_agg(name || ' = ' || current_setting(name), ', ' order by name) from pg_settings
    where name in ($settings, 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'wal_compression')")"
  echo "- sealcastd: its defaults, unless a section says otherwise. The peer: as many processes ($PEER_PROCESSES) and" \
    "connections to Postgres ($PEER_POOL) as were found fastest."
  echo "- Commit: $(git rev-parse --short HEAD)$changes"
}

exec {screen}>&1 > >(tee "$report")
tee=$!
echo "# Figures"
echo
echo "Written by \`bench/run.sh\` on $(date -u +%Y-%m-%d). Of several rounds: median [least–most]; a ratio is of two runs"
echo "of the same round, ours over the peer's."
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

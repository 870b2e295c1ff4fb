#!/bin/bash
# Steady load, with a transaction that stays open, and what grows meanwhile: MINUTES=10 RATE=100 READERS=100 tests/soak.sh.
# The first half is what the second is held against.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$((${MINUTES:-10} * 60))} RATE=${RATE:-100} READERS=${READERS:-100}

# The suite has built it.
[[ -n ${SEALCASTD-} ]] || {
  local/deps run build test
  local/cmake build sealcastd sealcast_load
  [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --no-audit --no-fund
}
exec node tests/soak/run.mjs

#!/bin/bash
# Runs steady load beside an open transaction and checks that memory, tables and indexes do not grow:
# MINUTES=10 RATE=100 READERS=100 tests/soak.sh. It compares the second half of the time with the first half.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$((${MINUTES:-10} * 60))} RATE=${RATE:-100} READERS=${READERS:-100}

# The integration suite sets SEALCASTD and has built everything.
[[ -n ${SEALCASTD-} ]] || {
  local/deps run build test
  local/cmake build sealcastd sealcast_load
  local/npm .
}
exec node tests/soak/run.mjs

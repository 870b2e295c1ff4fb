#!/bin/bash
# Injects faults under load and checks the delivery guarantees: SEED=N MINUTES=N tests/chaos.sh. GATE_REDIS is the shape
# of the gate's Redis: single, cluster or sentinel; else the seed chooses it. FAULTS='hang,kill redis' injects only these
# faults. As root it runs in namespaces of its own. Without root it skips the faults that need them and prints that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The integration suite sets SEALCASTD and has built everything.
[[ -n ${SEALCASTD-} ]] || {
  local/deps run build test
  local/cmake build sealcastd
  local/npm .
}
export SEED=${SEED:-$RANDOM} SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$((${MINUTES:-2} * 60))}

exec tests/chaos/namespace.sh node tests/chaos/run.mjs

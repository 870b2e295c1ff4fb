#!/bin/bash
# Faults under load: SEED=N MINUTES=N tests/chaos.sh. As root it has a mount namespace of its own, for a small disk
# and another clock; without, those faults are left out, and it says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The suite has built it.
[[ -n ${SEALCASTD-} ]] || {
  local/deps run build test
  local/cmake build sealcastd
  [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --no-audit --no-fund
}
export SEED=${SEED:-$RANDOM} SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$((${MINUTES:-2} * 60))}

inside=()
if unshare --mount mount -t tmpfs sealcast-chaos /mnt 2> /dev/null; then
  export SEALCAST_CHAOS_NAMESPACE=1
  inside=(unshare --mount)
fi
exec "${inside[@]}" node tests/chaos/run.mjs

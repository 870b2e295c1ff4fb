#!/bin/bash
# Injects faults under load and checks the delivery guarantees: SEED=N MINUTES=N tests/chaos.sh. As root it runs in its
# own mount namespace, for a small disk and a changed clock. Without root it skips those faults and prints that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The integration suite sets SEALCASTD and has built everything.
[[ -n ${SEALCASTD-} ]] || {
  local/deps run build test
  local/cmake build sealcastd
  local/npm .
}
export SEED=${SEED:-$RANDOM} SECONDS_OF_LOAD=${SECONDS_OF_LOAD:-$((${MINUTES:-2} * 60))}

inside=()
if unshare --mount mount -t tmpfs sealcast-chaos /mnt 2> /dev/null; then
  export SEALCAST_CHAOS_NAMESPACE=1
  inside=(unshare --mount)
fi
exec "${inside[@]}" node tests/chaos/run.mjs

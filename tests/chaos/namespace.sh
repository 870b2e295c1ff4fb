#!/bin/bash
# Runs a command in a mount namespace and a network namespace of its own, where faults change neither the disk nor the
# network of the machine: tests/chaos/namespace.sh COMMAND… Without root it runs the command as it is.
set -euo pipefail
if unshare --mount --net sh -c 'mount -t tmpfs sealcast-chaos /mnt && ip link set lo up' 2> /dev/null; then
  # shellcheck disable=SC2016 # the inner shell expands it
  SEALCAST_CHAOS_NAMESPACE=1 exec unshare --mount --net sh -c 'ip link set lo up && exec "$0" "$@"' "$@"
fi
exec "$@"

#!/bin/bash
# Starts a Docker engine, runs a command and stops the engine: engine.sh [OPTION…] -- COMMAND…
# tests/compose.sh runs this script in new namespaces.
set -euo pipefail
options=()
while [[ $1 != -- ]]; do
  options+=("$1")
  shift
done
shift
ip link set lo up
mount -t tmpfs tmpfs /run
# The client runs in a chroot, so the socket must be in the chroot.
export DOCKER_HOST=unix://$CLIENT/run/docker.sock
dockerd --data-root "$ENGINE_DATA" --exec-root /run/docker --pidfile /run/docker.pid --host "$DOCKER_HOST" \
  --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$CGROUP" "${options[@]}" > build/dockerd.log 2>&1 &
engine=$!
stop() {
  kill "$engine"
  wait "$engine" || true
  rm -f "$CLIENT/run/docker.sock"
}
trap stop EXIT
deadline=$((SECONDS + 60))
until [[ -S $CLIENT/run/docker.sock ]] && docker version > /dev/null 2>&1; do
  if ! kill -0 "$engine" || ((SECONDS >= deadline)); then
    tail -n 30 build/dockerd.log >&2
    exit 1
  fi
  sleep 0.1
done
"$@"

#!/bin/bash
# Runs a command beside a Docker engine, within the namespaces that tests/compose.sh made: engine.sh [OPTION…] -- COMMAND…
set -euo pipefail
options=()
while [[ $1 != -- ]]; do
  options+=("$1")
  shift
done
shift
ip link set lo up
mount -t tmpfs tmpfs /run
# The client is in a chroot, and its socket with it.
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

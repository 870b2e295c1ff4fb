#!/bin/bash
# Tests the containers. A private Docker engine builds the images from a base that debootstrap makes, and runs them in
# its own network namespace, where tests/compose/compose.test.mjs uses them. Needs root. The images stay in build/.
# Processes and mounts end with the namespaces, also after an interruption.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
((EUID == 0)) || {
  echo "tests/compose.sh: namespaces and chroots need root" >&2
  exit 1
}
local/deps chroot compose
local/npm .
[[ -e demo/node_modules/.package-lock.json ]] || (cd demo && npm ci --no-audit --no-fund --ignore-scripts)
. tests/chroot.sh

mkdir -p build
exec 9> build/compose.lock
flock --nonblock 9 || {
  echo "tests/compose.sh: another run in this checkout uses the same images; wait until it has ended" >&2
  exit 1
}

# Debian 12 has no package of Compose v2; Debian 13 (trixie) has one.
export CLIENT=$PWD/build/trixie
make_chroot trixie "$CLIENT"
in_chroot "$CLIENT" apt-get -q update
in_chroot "$CLIENT" apt-get -q -y --no-install-recommends install docker-cli docker-compose

copy_sources "$CLIENT/src"
# A container may have no access to npm: copy the modules that this machine has installed.
cp -r demo/node_modules "$CLIENT/src/demo"
echo '!demo/node_modules' >> "$CLIENT/src/.dockerignore"
cp tests/compose/host_network.yml "$CLIENT/src"

export BASE=$PWD/build/bookworm ENGINE_DATA=$PWD/build/docker
make_chroot bookworm "$BASE"
mkdir -p "$ENGINE_DATA"
# Keep only the images of an earlier run: the engine would start its remaining containers again, on their own network.
rm -rf --one-file-system "$ENGINE_DATA"/{containers,network,volumes}

clean_up() {
  # Killing the first process of a process namespace ends all processes in it.
  [[ -z ${running-} ]] || { kill -KILL "$running" && wait "$running"; } 2> /dev/null || true
  # The engine does not remove its control groups, and they are busy until its last process has ended.
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    find /sys/fs/cgroup -depth -path "*$CGROUP*" -type d -exec rmdir {} + 2> /dev/null || true
    [[ -n $(find /sys/fs/cgroup -path "*$CGROUP*" -type d -print -quit) ]] || break
    sleep 0.1
  done
}
# Every run of this checkout uses the same name, so that a run removes the groups that a killed run has left.
CGROUP=/sealcast-compose-$(cksum <<< "$PWD" | cut -d ' ' -f 1)
export CGROUP
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# in_namespaces COMMAND…: runs a command so that its processes and mounts end with this script.
in_namespaces() {
  nice setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$@" &
  running=$!
  local status=0
  wait "$running" || status=$?
  running=
  return "$status"
}
# The builds download packages over the machine's network; the engine adds no bridge and no firewall rule to it.
in_namespaces tests/compose/engine.sh --iptables=false --ip6tables=false --ip-forward=false --bridge=none -- \
  tests/compose/build.sh
in_namespaces --net tests/compose/engine.sh -- tests/compose/run.sh

#!/bin/bash
# The containers for real: a Docker engine of its own builds the images from a base that debootstrap makes, and runs them in a
# network namespace of its own, where tests/compose/compose.test.mjs tries them out. Needs root. What is built stays in build/;
# whatever ran or was mounted goes with the namespaces, also when this is interrupted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
((EUID == 0)) || {
  echo "tests/compose.sh: namespaces and chroots need root" >&2
  exit 1
}
local/deps chroot compose
[[ -e node_modules/.package-lock.json ]] || npm ci --no-audit --no-fund
[[ -e demo/node_modules/.package-lock.json ]] || (cd demo && npm ci --no-audit --no-fund --ignore-scripts)
. tests/chroot.sh

mkdir -p build
exec 9> build/compose.lock
flock --nonblock 9 || {
  echo "tests/compose.sh: another one runs in this checkout, on the same images" >&2
  exit 1
}

# Debian 12 has no Compose v2; its next release has.
export CLIENT=$PWD/build/trixie
make_chroot trixie "$CLIENT"
in_chroot "$CLIENT" apt-get -q update
in_chroot "$CLIENT" apt-get -q -y --no-install-recommends install docker-cli docker-compose

copy_sources "$CLIENT/src"
# Not every network lets a container reach npm: what this machine has installed goes along.
cp -r demo/node_modules "$CLIENT/src/demo"
echo '!demo/node_modules' >> "$CLIENT/src/.dockerignore"
cp tests/compose/host_network.yml "$CLIENT/src"

export BASE=$PWD/build/bookworm ENGINE_DATA=$PWD/build/docker
make_chroot bookworm "$BASE"
mkdir -p "$ENGINE_DATA"
# Of an earlier run the images are of use. Containers that it could not take down would start again, on a network of theirs.
rm -rf --one-file-system "$ENGINE_DATA"/{containers,network,volumes}

leave() {
  # What has the first process of its namespace killed is gone with all that it started.
  [[ -z ${running-} ]] || { kill -KILL "$running" && wait "$running"; } 2> /dev/null || true
  # The engine's groups outlive it, and are in use until its last process is gone.
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    find /sys/fs/cgroup -depth -path "*$CGROUP*" -type d -exec rmdir {} + 2> /dev/null || true
    [[ -n $(find /sys/fs/cgroup -path "*$CGROUP*" -type d -print -quit) ]] || break
    sleep 0.1
  done
}
# The same for every run of this checkout: what one that was killed leaves, the next takes away.
CGROUP=/sealcast-compose-$(cksum <<< "$PWD" | cut -d ' ' -f 1)
export CGROUP
trap leave EXIT
trap 'exit 130' INT TERM HUP

# The builds fetch packages over the machine's network, with no bridge or rule of the engine's on it.
inside() {
  nice setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$@" &
  running=$!
  local status=0
  wait "$running" || status=$?
  running=
  return "$status"
}
inside tests/compose/engine.sh --iptables=false --ip6tables=false --ip-forward=false --bridge=none -- tests/compose/build.sh
inside --net tests/compose/engine.sh -- tests/compose/run.sh

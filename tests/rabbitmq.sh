#!/bin/bash
# Tests the transport mqtt with the RabbitMQ of Debian 13, which runs in a chroot on the machine's network. The chroot
# stays in build/ and has about 0.5 GB. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/deps run build test chroot
local/npm .
local/cmake "${BUILD:-build}" sealcastd
. tests/chroot.sh

export RABBITMQ=$PWD/build/rabbitmq
make_chroot trixie "$RABBITMQ"
if [[ ! -e $RABBITMQ/.installed ]]; then
  in_chroot "$RABBITMQ" apt-get -q update
  in_chroot "$RABBITMQ" apt-get -q -y --no-install-recommends install rabbitmq-server
  touch "$RABBITMQ/.installed"
fi
SEALCASTD=${BUILD:-build}/sealcastd node --test --test-reporter=spec tests/rabbitmq/rabbitmq.test.mjs

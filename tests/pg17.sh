#!/bin/bash
# Builds the extension for PostgreSQL 17 of Debian 13, with warnings as errors, and runs its tests in a chroot. The
# chroot stays in build/ and has about 1 GB. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/deps chroot
local/npm .
. tests/chroot.sh

root=$PWD/build/trixie
make_chroot trixie "$root"
copy_sources "$root/src"
cp tests/trixie/packages "$root/src/local/packages"
cp -r node_modules "$root/src"

# shellcheck disable=SC2016 # the shell in the chroot expands these
in_chroot "$root" /bin/bash -euo pipefail -c '
  cd /src
  local/deps run build test
  export SEALCAST_CXXFLAGS=-Werror PATH=$PATH:/usr/sbin
  tests/with_stack.sh postgres -- bash -euc "
    psql -X -q -At -v ON_ERROR_STOP=1 -c \"select version()\" -c \"create extension pgtap\" -c \"alter role sealcast_service nologin\"
    pg_prove --ext .sql tests/pgtap
    node --test --test-reporter=spec tests/integration/sql_*.test.mjs"'

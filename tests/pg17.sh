#!/bin/bash
# Builds the extension for the PostgreSQL of Debian's next release, without warnings, and runs its tests there: in a chroot
# under build/, which is made once (about 1 GB; needs root).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/deps chroot
[[ -e node_modules/.package-lock.json ]] || npm ci --no-audit --no-fund
. tests/chroot.sh

root=$PWD/build/trixie
make_chroot trixie "$root"
copy_sources "$root/src"
cp tests/trixie/packages "$root/src/local/packages"
cp -r node_modules "$root/src"

# shellcheck disable=SC2016 # for the shell in the chroot
in_chroot "$root" /bin/bash -euo pipefail -c '
  cd /src
  local/deps run build test
  export SEALCAST_CXXFLAGS=-Werror PATH=$PATH:/usr/sbin
  tests/with_stack.sh postgres -- bash -euc "
    psql -X -q -At -v ON_ERROR_STOP=1 -c \"select version()\" -c \"create extension pgtap\" -c \"alter role sealcast_service nologin\"
    pg_prove --ext .sql tests/pgtap
    node --test --test-reporter=spec tests/integration/sql_*.test.mjs"'

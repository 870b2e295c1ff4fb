#!/bin/bash
# Builds the extension for PostgreSQL 17 of Debian 13, with warnings as errors, and runs its tests in a chroot, also the
# upgrade from the PostgreSQL of this machine by pg_upgrade. The chroot stays in build/ and has about 1 GB. Needs root.
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

# Copies the server of this machine, with the extension, and those of its libraries that Debian 13 does not have.
make -s -j"$(nproc)" install DESTDIR="$root" > /dev/null
old=$(pg_config --bindir)
for directory in "$old" "$(pg_config --sharedir)" "$(pg_config --pkglibdir)"; do
  mkdir -p "$root$directory"
  cp -rL --update "$directory/." "$root$directory"
done
for library in $(ldd "$old"/{postgres,initdb,pg_ctl,pg_dump,pg_resetwal,pg_controldata,vacuumdb} \
  "$root$(pg_config --pkglibdir)/sealcast.so" | awk '$3 ~ /^\// {print $3}' | sort -u); do
  [[ -e $root$library ]] || cp -L "$library" "$root$library"
done

# shellcheck disable=SC2016 # the shell in the chroot expands these
in_chroot "$root" /bin/bash -euo pipefail -c '
  cd /src
  local/deps run build test
  export SEALCAST_CXXFLAGS=-Werror PATH=$PATH:/usr/sbin
  tests/with_stack.sh postgres -- bash -euc "
    psql -X -q -At -v ON_ERROR_STOP=1 -c \"select version()\" -c \"create extension pgtap\" -c \"alter role sealcast_service nologin\"
    pg_prove --ext .sql tests/pgtap
    node --test --test-reporter=spec tests/integration/sql_*.test.mjs"
  make -s install
  tests/pg_upgrade.sh "$1" "$(pg_config --bindir)"' bash "$old"

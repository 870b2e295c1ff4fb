#!/bin/bash
# Upgrades the extension from each released version in a private server, compares the result with a fresh installation, and
# runs the pgTAP tests in it; in TAP. First it does so with a next version made up here, to see that it notices what an
# upgrade script forgets. Runs within tests/with_stack.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=$SEALCAST_LOCAL/postgresql$(${PG_CONFIG:-pg_config} --sharedir)/extension
current=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" sealcast.control)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
# report STATUS WHAT
report() {
  if (($1 == 0)); then
    echo "ok - $2"
  else
    echo "not ok - $2"
    failed=1
  fi
}

sql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
make_database() { PGOPTIONS='-c client_min_messages=warning' sql -d postgres -c "drop database if exists $1 with (force)" -c "create database $1"; }
catalogue() { sql -d "$1" -f tests/upgrade/catalogue.sql > "$work/$1"; }

# install_extension DATABASE VERSION [NEXT]
install_extension() {
  make_database "$1"
  PGOPTIONS='-c client_min_messages=warning' sql -d "$1" -c "create extension sealcast version '$2'" \
    ${3:+-c "alter extension sealcast update to '$3'"}
  catalogue "$1"
}

# The next version: the present one and the changes.
mapfile -t changes < <(grep -v '^#' tests/upgrade/changes)
statements() { printf '%s;\n' "${@% | *}"; }
{
  cat "$scripts/sealcast--$current.sql"
  statements "${changes[@]}"
} > "$scripts/sealcast--next.sql"
install_extension fresh next
statements "${changes[@]}" > "$scripts/sealcast--$current--next.sql"
install_extension upgraded "$current" next
diff "$work/fresh" "$work/upgraded" > "$work/diff" || sed 's/^/# /' "$work/diff"
report $(($(wc -l < "$work/diff") > 0)) 'a whole upgrade leaves what a fresh installation has'

for left_out in "${!changes[@]}"; do
  object=${changes[left_out]##* | }
  others=("${changes[@]}")
  unset "others[left_out]"
  statements "${others[@]}" > "$scripts/sealcast--$current--next.sql"
  install_extension upgraded "$current" next
  diff "$work/fresh" "$work/upgraded" > "$work/diff" || true
  grep -qF -- "$object | " "$work/diff" && status=0 || status=1
  report "$status" "an upgrade is noticed that leaves out: ${changes[left_out]% | *}"
done

# From each version whose script was kept at its release.
install_extension fresh "$current"
shopt -s nullglob extglob
for script in sql/upgrade/sealcast--+([0-9.]).sql; do
  version=${script##*--} version=${version%.sql}
  [[ $version != "$current" ]] || continue
  cp "$script" "$scripts"
  install_extension upgraded "$version" "$current"
  diff "$work/fresh" "$work/upgraded" > "$work/diff" || sed 's/^/# /' "$work/diff"
  report $(($(wc -l < "$work/diff") > 0)) "an upgrade from $version leaves what a fresh installation has"
  sql -d upgraded -c 'create extension pgtap' -c 'alter role sealcast_service nologin'
  PGDATABASE=upgraded pg_prove --ext .sql tests/pgtap && status=0 || status=1
  report "$status" "the tests pass after an upgrade from $version"
done
exit "$failed"

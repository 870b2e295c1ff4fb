#!/bin/bash
# Upgrades each extension from each of its released versions in a private server, compares the result with a fresh
# installation, runs the pgTAP tests in it, and sees that what was stored is kept; in TAP. First it does so with a next version
# made up here, to see that it notices what an upgrade script forgets. Runs within tests/with_stack.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=$SEALCAST_LOCAL/postgresql$(${PG_CONFIG:-pg_config} --sharedir)/extension
first_release=0.1.0
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
# report_empty FILE WHAT
report_empty() {
  sed 's/^/# /' "$1"
  report $(($(wc -l < "$1") > 0)) "$2"
}

sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 "$@"; }
# make_database DATABASE EXTENSION VERSION, with what the extension requires
make_database() {
  sql -d postgres -c "drop database if exists $1 with (force)" -c "create database $1"
  sql -d "$1" -c "create extension $2 version '$3' cascade"
}
upgrade() { sql -d "$1" -c "alter extension $2 update to '$3'"; }
catalogue() { sql -d "$1" -v extension="$2" -f tests/upgrade/catalogue.sql > "$work/$1"; }

# What differs from the database `fresh` after an upgrade: differences EXTENSION VERSION NEXT
differences() {
  make_database upgraded "$1" "$2"
  upgrade upgraded "$1" "$3"
  catalogue upgraded "$1"
  diff "$work/fresh" "$work/upgraded" > "$work/diff" || true
}

# passes_tests EXTENSION VERSION NEXT: the database `upgraded` does, those of the extension.
passes_tests() {
  local tests=(tests/pgtap/*.sql)
  [[ $1 == sealcast ]] || mapfile -t tests < <(grep -l economy.psql tests/pgtap/*.sql)
  sql -d upgraded -c 'create extension pgtap' -c 'alter role sealcast_service nologin'
  PGDATABASE=upgraded pg_prove "${tests[@]}" && status=0 || status=1
  report "$status" "the tests pass after an upgrade of $1 from $2 to $3"
}

# keeps_data EXTENSION VERSION NEXT
keeps_data() {
  make_database inhabited "$1" "$2"
  sql -d inhabited -f tests/upgrade/inhabit.sql
  upgrade inhabited "$1" "$3"
  sql -d inhabited -f tests/upgrade/compare.sql > "$work/lost"
  report_empty "$work/lost" "an upgrade of $1 from $2 to $3 keeps what was stored, and goes on with it"
}

statements() { printf '%s;\n' "${@% | *}"; }
# The next version: the present one and some changes.
make_next() {
  local extension=$1 version=$2
  shift 2
  { cat "$scripts/$extension--$version.sql" && statements "$@"; } > "$scripts/$extension--next.sql"
  statements "$@" > "$scripts/$extension--$version--next.sql"
}

shopt -s nullglob extglob
for extension in sealcast sealcast_economy; do
  current=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$extension.control")
  mapfile -t changes < <(grep -v '^#' "tests/upgrade/$extension.changes")
  mapfile -t calm < <(sed '0,/leave the pgTAP tests/d' "tests/upgrade/$extension.changes")

  make_next "$extension" "$current" "${calm[@]}"
  make_database fresh "$extension" next
  catalogue fresh "$extension"
  differences "$extension" "$current" next
  passes_tests "$extension" "$current" next
  keeps_data "$extension" "$current" next

  make_next "$extension" "$current" "${changes[@]}"
  make_database fresh "$extension" next
  catalogue fresh "$extension"
  differences "$extension" "$current" next
  report_empty "$work/diff" "a whole upgrade of $extension leaves what a fresh installation has"
  for left_out in "${!changes[@]}"; do
    object=${changes[left_out]##* | }
    others=("${changes[@]}")
    unset "others[left_out]"
    statements "${others[@]}" > "$scripts/$extension--$current--next.sql"
    differences "$extension" "$current" next
    grep -qF -- "$object | " "$work/diff" && status=0 || status=1
    report "$status" "an upgrade is noticed that leaves out: ${changes[left_out]% | *}"
  done

  # From each version whose script was kept at its release.
  make_database fresh "$extension" "$current"
  catalogue fresh "$extension"
  released=0
  for script in sql/upgrade/"$extension"--+([0-9.]).sql; do
    version=${script##*--} version=${version%.sql}
    [[ $version != "$current" ]] || continue
    released=$((released + 1))
    cp "$script" "$scripts"
    differences "$extension" "$version" "$current"
    report_empty "$work/diff" "an upgrade of $extension from $version leaves what a fresh installation has"
    passes_tests "$extension" "$version" "$current"
    keeps_data "$extension" "$version" "$current"
  done
  [[ $current == "$first_release" ]] || ((released)) && status=0 || status=1
  report "$status" "the scripts of $extension that were released before $current are kept in sql/upgrade"
done
exit "$failed"

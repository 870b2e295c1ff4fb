#!/bin/bash
# Tests the upgrade of each extension from each released version in a private server, and prints TAP. An upgraded
# database must equal a fresh installation, pass the pgTAP tests, and keep its data. First the script tests itself with
# an invented next version: it must detect each change that an upgrade script leaves out. Runs within
# tests/with_stack.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=$SEALCAST_LOCAL/postgresql$(${PG_CONFIG:-pg_config} --sharedir)/extension
first_release=0.1.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
# report STATUS TEST: prints a TAP line; the test has passed if STATUS is 0.
report() {
  if (($1 == 0)); then
    echo "ok - $2"
  else
    echo "not ok - $2"
    failed=1
  fi
}
# report_empty FILE TEST: the test has passed if the file is empty.
report_empty() {
  sed 's/^/# /' "$1"
  report $(($(wc -l < "$1") > 0)) "$2"
}

sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 "$@"; }
# make_database DATABASE EXTENSION VERSION: creates a database with the extension and the extensions that it requires.
make_database() {
  sql -d postgres -c "drop database if exists $1 with (force)" -c "create database $1"
  sql -d "$1" -c "create extension $2 version '$3' cascade"
}
upgrade() { sql -d "$1" -c "alter extension $2 update to '$3'"; }
catalogue() { sql -d "$1" -v extension="$2" -f tests/upgrade/catalogue.sql > "$work/$1"; }

# differences EXTENSION VERSION NEXT: upgrades the database `upgraded` and writes to $work/diff how it differs from
# `fresh`.
differences() {
  make_database upgraded "$1" "$2"
  upgrade upgraded "$1" "$3"
  catalogue upgraded "$1"
  diff "$work/fresh" "$work/upgraded" > "$work/diff" || true
}

# passes_tests EXTENSION VERSION NEXT: tests that the database `upgraded` passes the extension's pgTAP tests.
passes_tests() {
  local tests=(tests/pgtap/*.sql)
  [[ $1 == sealcast ]] || mapfile -t tests < <(grep -l economy.psql tests/pgtap/*.sql)
  sql -d upgraded -c 'create extension pgtap' -c 'alter role sealcast_service nologin'
  PGDATABASE=upgraded pg_prove "${tests[@]}" && status=0 || status=1
  report "$status" "the tests pass after an upgrade of $1 from $2 to $3"
}

# keeps_data EXTENSION VERSION NEXT: tests that an upgrade keeps the data in a database.
keeps_data() {
  make_database populated "$1" "$2"
  sql -d populated -f tests/upgrade/inhabit.sql
  upgrade populated "$1" "$3"
  sql -d populated -f tests/upgrade/compare.sql > "$work/lost"
  report_empty "$work/lost" "an upgrade of $1 from $2 to $3 keeps the stored data and can continue with it"
}

# statements CHANGE…: prints the SQL statement of each line `STATEMENT | OBJECT` of a .changes file.
statements() { printf '%s;\n' "${@% | *}"; }
# make_next EXTENSION VERSION CHANGE…: makes a version `next`, which is the present version with the changes.
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
  # The changes with which the pgTAP tests still pass.
  mapfile -t passing < <(sed '0,/^# The pgTAP tests also pass/d' "tests/upgrade/$extension.changes")

  make_next "$extension" "$current" "${passing[@]}"
  make_database fresh "$extension" next
  catalogue fresh "$extension"
  differences "$extension" "$current" next
  passes_tests "$extension" "$current" next
  keeps_data "$extension" "$current" next

  make_next "$extension" "$current" "${changes[@]}"
  make_database fresh "$extension" next
  catalogue fresh "$extension"
  differences "$extension" "$current" next
  report_empty "$work/diff" "a complete upgrade of $extension equals a fresh installation"
  for left_out in "${!changes[@]}"; do
    object=${changes[left_out]##* | }
    others=("${changes[@]}")
    unset "others[left_out]"
    statements "${others[@]}" > "$scripts/$extension--$current--next.sql"
    differences "$extension" "$current" next
    grep -qF -- "$object | " "$work/diff" && status=0 || status=1
    report "$status" "the comparison detects an upgrade that leaves out: ${changes[left_out]% | *}"
  done

  # Upgrade from each released version: sql/upgrade keeps its script.
  make_database fresh "$extension" "$current"
  catalogue fresh "$extension"
  released=0
  for script in sql/upgrade/"$extension"--+([0-9.]).sql; do
    version=${script##*--} version=${version%.sql}
    [[ $version != "$current" ]] || continue
    released=$((released + 1))
    cp "$script" "$scripts"
    differences "$extension" "$version" "$current"
    report_empty "$work/diff" "an upgrade of $extension from $version equals a fresh installation"
    passes_tests "$extension" "$version" "$current"
    keeps_data "$extension" "$version" "$current"
  done
  [[ $current == "$first_release" ]] || ((released)) && status=0 || status=1
  report "$status" "sql/upgrade keeps the scripts of $extension that were released before $current"
done
exit "$failed"

#!/bin/bash
# Tests the upgrade scripts of both extensions in a private server, and reports in TAP. Runs within tests/with_stack.sh.
# Upgrades from each released version, compares the result with a fresh installation, runs the pgTAP tests in it, and
# checks that stored data is kept. Before that, it tests itself: it makes a next version with some changes, and checks that
# it notices each change that an upgrade script leaves out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=$SEALCAST_LOCAL/postgresql$(${PG_CONFIG:-pg_config} --sharedir)/extension
first_release=0.1.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
# Prints a TAP line: report STATUS DESCRIPTION
report() {
  if (($1 == 0)); then
    echo "ok - $2"
  else
    echo "not ok - $2"
    failed=1
  fi
}
# Reports a success when the file is empty, and prints its lines otherwise: report_empty FILE DESCRIPTION
report_empty() {
  sed 's/^/# /' "$1"
  report $(($(wc -l < "$1") > 0)) "$2"
}

sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 "$@"; }
# Makes a database with an extension and the extensions that it requires: make_database DATABASE EXTENSION VERSION
make_database() {
  sql -d postgres -c "drop database if exists $1 with (force)" -c "create database $1"
  sql -d "$1" -c "create extension $2 version '$3' cascade"
}
upgrade() { sql -d "$1" -c "alter extension $2 update to '$3'"; }
catalogue() { sql -d "$1" -v extension="$2" -f tests/upgrade/catalogue.sql > "$work/$1"; }

# Writes the differences between an upgraded database and the database `fresh`: differences EXTENSION VERSION NEXT
differences() {
  make_database upgraded "$1" "$2"
  upgrade upgraded "$1" "$3"
  catalogue upgraded "$1"
  diff "$work/fresh" "$work/upgraded" > "$work/diff" || true
}

# Runs the tests of the extension in the database `upgraded`: passes_tests EXTENSION VERSION NEXT
passes_tests() {
  local tests=(tests/pgtap/*.sql)
  [[ $1 == sealcast ]] || mapfile -t tests < <(grep -l economy.psql tests/pgtap/*.sql)
  sql -d upgraded -c 'create extension pgtap' -c 'alter role sealcast_service nologin'
  PGDATABASE=upgraded pg_prove "${tests[@]}" && status=0 || status=1
  report "$status" "the tests pass after an upgrade of $1 from $2 to $3"
}

# Checks that an upgrade keeps stored data: keeps_data EXTENSION VERSION NEXT
keeps_data() {
  make_database inhabited "$1" "$2"
  sql -d inhabited -f tests/upgrade/inhabit.sql
  upgrade inhabited "$1" "$3"
  sql -d inhabited -f tests/upgrade/compare.sql > "$work/lost"
  report_empty "$work/lost" "an upgrade of $1 from $2 to $3 keeps stored data, and the system continues with it"
}

statements() { printf '%s;\n' "${@% | *}"; }
# Makes the next version: the current version with some changes.
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
  mapfile -t calm < <(sed '0,/^# The pgTAP tests also pass/d' "tests/upgrade/$extension.changes")

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
  report_empty "$work/diff" "a complete upgrade of $extension is the same as a fresh installation"
  for left_out in "${!changes[@]}"; do
    object=${changes[left_out]##* | }
    others=("${changes[@]}")
    unset "others[left_out]"
    statements "${others[@]}" > "$scripts/$extension--$current--next.sql"
    differences "$extension" "$current" next
    grep -qF -- "$object | " "$work/diff" && status=0 || status=1
    report "$status" "the comparison notices an upgrade without: ${changes[left_out]% | *}"
  done

  # Upgrades from each released version, whose script is kept in sql/upgrade.
  make_database fresh "$extension" "$current"
  catalogue fresh "$extension"
  released=0
  for script in sql/upgrade/"$extension"--+([0-9.]).sql; do
    version=${script##*--} version=${version%.sql}
    [[ $version != "$current" ]] || continue
    released=$((released + 1))
    cp "$script" "$scripts"
    differences "$extension" "$version" "$current"
    report_empty "$work/diff" "an upgrade of $extension from $version is the same as a fresh installation"
    passes_tests "$extension" "$version" "$current"
    keeps_data "$extension" "$version" "$current"
  done
  [[ $current == "$first_release" ]] || ((released)) && status=0 || status=1
  report "$status" "sql/upgrade has the scripts of $extension that were released before $current"
done
exit "$failed"

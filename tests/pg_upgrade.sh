#!/bin/bash
# Tests pg_upgrade of a database in use, and prints TAP: tests/pg_upgrade.sh OLD_BIN NEW_BIN. Both servers must have the
# extensions installed. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
old=$1
new=$2

work=$(mktemp -d)
chmod 755 "$work"
end() {
  local status=$?
  for data in old new; do
    [[ ! -e $work/$data/postmaster.pid ]] || as_postgres "$new/pg_ctl" stop -D "$work/$data" -m immediate > /dev/null 2>&1 || true
  done
  rm -rf "$work"
  exit "$status"
}
trap end EXIT

as_postgres() { (cd "$work" && setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"); }
sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 -h "$work" -U postgres "$@"; }
# start NAME BIN: starts the server whose data directory is $work/NAME.
start() { as_postgres "$2/pg_ctl" start -w -D "$work/$1" -l "$work/$1.log" > /dev/null; }
stop() { as_postgres "$2/pg_ctl" stop -w -D "$work/$1" > /dev/null; }

install -d -o postgres -g postgres "$work/keyring" "$work/old" "$work/new"
openssl rand -hex 32 | install -m 600 -o postgres -g postgres /dev/stdin "$work/keyring/k1"
for server in "old $old" "new $new"; do
  read -r name bin <<< "$server"
  as_postgres "$bin/initdb" -D "$work/$name" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 > /dev/null
  cat >> "$work/$name/postgresql.conf" << END
listen_addresses = ''
unix_socket_directories = '$work'
shared_preload_libraries = 'sealcast'
sealcast.keyring = '$work/keyring'
sealcast.signing_kid = 'k1'
END
done
chown postgres "$work"

start old "$old"
sql -c 'create database app'
sql -d app -c 'create extension sealcast' -f tests/upgrade/inhabit.sql
sql -d app -At -c "select 'ok - a database in use on PostgreSQL ' || current_setting('server_version')"
stop old "$old"

upgrade() {
  as_postgres "$new/pg_upgrade" -b "$old" -B "$new" -d "$work/old" -D "$work/new" -U postgres "$@" > "$work/log" 2>&1
}
if upgrade --check && upgrade; then
  echo 'ok - pg_upgrade accepts and upgrades it'
else
  sed 's/^/# /' "$work/log"
  find "$work/new/pg_upgrade_output.d" -name '*.txt' -exec sed 's/^/# /' {} + 2> /dev/null || true
  echo 'not ok - pg_upgrade accepts and upgrades it'
  exit 1
fi
start new "$new"
# As docs/operations.md says.
sql -d app -c 'select * from sealcast.repair_row_triggers()' > /dev/null
sql -d app -f tests/upgrade/compare.sql > "$work/lost"
sed 's/^/# /' "$work/lost"
[[ -s $work/lost ]] && result='not ok' || result=ok
sql -d app -At -c "select '$result - its data is kept, offsets go on and handlers run on PostgreSQL ' || current_setting('server_version')"
stop new "$new"
[[ $result == ok ]]

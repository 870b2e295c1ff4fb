# Starts the stack's Postgres: a private copy of the server with the extension, its data directory and its database.
# Sourced by up.
# shellcheck shell=bash

PG_CONFIG=${PG_CONFIG:-pg_config}
SERVER=$STATE/postgresql
DATABASE=sealcast

# A lock allows one build per checkout at a time: several stacks may start at once.
build() {
  mkdir -p "$ROOT/build"
  (
    flock 8
    env -u MAKEFLAGS make -C "$ROOT" -s --no-print-directory -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "$@"
  ) 8> "$ROOT/build/lock"
}

# Postgres finds its libraries and extensions relative to its own executable. So a copy of the executable, with links to
# the files of the installed server, can have the extension without a change to the installed server.
make_server() {
  local bin share library
  bin=$("$PG_CONFIG" --bindir) share=$("$PG_CONFIG" --sharedir) library=$("$PG_CONFIG" --pkglibdir)
  install -d "$SERVER$bin" "$SERVER$share" "$SERVER$library"
  install "$bin/postgres" "$bin/initdb" "$SERVER$bin"
  cp -rsf "$share/." "$SERVER$share"
  cp -rsf "$library/." "$SERVER$library"
  build install DESTDIR="$SERVER"
  PATH=$bin:$PATH
  BIN=$SERVER$bin
}

make_keyring() {
  make_private_directory "$STATE/keyring"
  compgen -G "$STATE/keyring/*" > /dev/null || random_hex | put "$STATE/keyring/k1"
  chown "$OWNER:$GROUP" "$STATE"/keyring/*
}

configure_postgres() {
  put "$STATE/pgdata/sealcast.conf" << END
# Written by local/up at every start; put your own settings into postgresql.conf, below the include.
listen_addresses = ''
unix_socket_directories = '$SOCKETS'
port = 5432
shared_preload_libraries = 'sealcast'
sealcast.keyring = '$STATE/keyring'
sealcast.signing_kid = 'k1'
sealcast.gate_socket = '$SOCKETS/gate.sock'
END
}

# --auth=trust is safe: only the owner and root can enter the directory of the socket, and there is no TCP.
make_cluster() {
  make_private_directory "$STATE/pgdata"
  as_owner "$BIN/initdb" -D "$STATE/pgdata" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    >> "$STATE/log/postgres.log" 2>&1 || {
    tail_of_log postgres
    fail "initdb failed"
  }
  echo "include = 'sealcast.conf'" >> "$STATE/pgdata/postgresql.conf"
}

make_database() {
  local exists
  exists=$(sql -d postgres -Atc "select 1 from pg_database where datname = '$DATABASE'")
  [[ -n $exists ]] || sql -d postgres -c "create database $DATABASE"
  sql -d "$DATABASE" << 'END'
set client_min_messages = warning;
create extension if not exists sealcast;
alter extension sealcast update;
alter role sealcast_service login;
call sealcast.run_maintenance();
END
}

up_postgres() {
  make_server
  make_keyring
  [[ -e $STATE/pgdata/PG_VERSION ]] || make_cluster
  configure_postgres
  start postgres "$BIN/postgres" -D "$STATE/pgdata"
  await postgres 60 pg_isready -h "$SOCKETS" -p 5432 -U postgres
  make_database
}

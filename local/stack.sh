# The directories and the system user of a stack, and the functions that start, await and stop its services. Sourced by
# up, down, status and run.
# shellcheck shell=bash
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8
umask 022

fail() {
  echo "sealcast: $*" >&2
  exit 1
}

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOCAL=${SEALCAST_LOCAL:-$ROOT/.local}
mkdir -p "$LOCAL"
LOCAL=$(cd "$LOCAL" && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
BUILD=$(cd "$ROOT" && realpath -m "${SEALCAST_BUILD:-build}")
# shellcheck disable=SC2034
SERVICES=(postgres redis mosquitto sealcastd)

# The caller's shell may have sourced the .local/env of another stack. Those variables do not describe this stack, and
# sealcastd would read SEALCAST_… variables as settings.
unset PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD PGOPTIONS PGSERVICE SEALCAST_LOCAL SEALCAST_BUILD SEALCAST_URL \
  SEALCAST_JWT_SECRET SEALCAST_KEYRING

# Postgres refuses to run as root, and the other services do not need root. `up` creates the user.
if [[ $EUID -eq 0 ]]; then
  OWNER=sealcast GROUP=sealcast
else
  OWNER=$(id -un) GROUP=$(id -gn)
fi

# Replaces the calling (sub)shell by a command that runs as the owner.
exec_as_owner() {
  if [[ $EUID -eq 0 ]]; then
    exec setpriv --reuid="$OWNER" --regid="$GROUP" --init-groups --inh-caps=-all --no-new-privs -- "$@"
  fi
  exec "$@"
}

as_owner() { (cd / && exec_as_owner "$@"); }

# The owner cannot enter a checkout under /root. Then only env and lock stay in $LOCAL.
STATE=$LOCAL
if ! as_owner test -x "$LOCAL" 2> /dev/null; then
  STATE=/var/lib/sealcast/$(cksum <<< "$LOCAL" | cut -d' ' -f1)
fi

make_private_directory() { install -d -m 700 -o "$OWNER" -g "$GROUP" "$1"; }

# Writes standard input to a file that only the owner (and root) can read.
put() { install -m 600 -o "$OWNER" -g "$GROUP" /dev/stdin "$1"; }

# The path of a Unix socket has at most 107 bytes.
SOCKETS=$STATE/run
if ((${#SOCKETS} > 80)); then
  SOCKETS=/tmp/sealcast-$(cksum <<< "$STATE" | cut -d' ' -f1)
fi

random_hex() { openssl rand -hex 32; }

# secret NAME: prints a secret of the stack, which it creates at the first call.
secret() {
  [[ -e $STATE/secrets/$1 ]] || random_hex | put "$STATE/secrets/$1"
  cat "$STATE/secrets/$1"
}

# The kernel reuses process ids: the start time distinguishes a service from a later process with the same id. Prints
# nothing for a zombie, which may exist for ever when its parent does not reap it.
started_at() { sed -n 's/.*) \([^ZX]\)/\1/p' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }

pid_of() {
  local pid began
  read -r pid began 2> /dev/null < "$STATE/run/$1.pid" || return 1
  [[ -n $began && $(started_at "$pid") == "$began" ]] || return 1
  echo "$pid"
}

running() { pid_of "$1" > /dev/null; }

# start NAME COMMAND…: starts a service in its own session, so that Ctrl-C reaches only the script in the foreground.
start() {
  local name=$1 pid
  shift
  # No core dump: it would contain the secrets of the process.
  (ulimit -S -c 0 && cd "$STATE" && exec_as_owner setsid "$@") < /dev/null >> "$STATE/log/$name.log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" | put "$STATE/run/$name.pid"
}

tail_of_log() {
  echo "--- end of $STATE/log/$1.log" >&2
  tail -n 25 "$STATE/log/$1.log" >&2
}

# await NAME SECONDS COMMAND…: returns when the command succeeds; fails when the service stops or after SECONDS.
await() {
  local name=$1 limit=$2 deadline=$((SECONDS + $2))
  shift 2
  until "$@" &> /dev/null; do
    running "$name" || {
      tail_of_log "$name"
      fail "$name stopped while starting"
    }
    ((SECONDS < deadline)) || {
      tail_of_log "$name"
      fail "$name is not ready after $limit s"
    }
    sleep 0.1
  done
}

# stop NAME SIGNAL: sends the signal, waits until the service has ended, and kills it after 30 s.
stop() {
  local name=$1 signal=$2 pid deadline=$((SECONDS + 30))
  if pid=$(pid_of "$name"); then
    kill -s "$signal" "$pid"
    while running "$name"; do
      if ((SECONDS >= deadline)); then
        echo "sealcast: $name (process $pid) did not stop within 30 s and is killed" >&2
        kill -s KILL -- "-$pid" || true
        deadline=$((SECONDS + 5))
      fi
      sleep 0.1
    done
  fi
  rm -f "$STATE/run/$name.pid"
}

stop_all() {
  stop sealcastd TERM
  stop mosquitto TERM
  stop redis TERM
  stop postgres INT
}

listening() { (exec 3<> "/dev/tcp/127.0.0.1/$1") &> /dev/null; }

# port_of SERVICE [NAME]: prints the service's port; NAME selects one of several ports. A restart keeps the port unless
# another process has taken it. The ports are below the range of outgoing connections.
port_of() {
  local file=$STATE/run/${2:-$1}.port port
  port=$(cat "$file" 2> /dev/null || true)
  if ! running "$1"; then
    while [[ -z $port ]] || listening "$port"; do port=$((20000 + RANDOM % 12000)); done
    echo "$port" | put "$file"
  fi
  echo "$port"
}

saved_ports() { cat "$STATE"/run/*.port 2> /dev/null || true; }

sql() { psql -X -q -v ON_ERROR_STOP=1 -h "$SOCKETS" -p 5432 -U postgres "$@"; }

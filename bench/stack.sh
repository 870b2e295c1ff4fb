# The stack that is measured, in a directory of its own, and both sides of a comparison, never running at once. Sourced
# by run.sh, which sets build and report.
# shellcheck shell=bash disable=SC2154,SC2034 # what run.sh and the sections set and use

SEALCAST_LOCAL=$(mktemp -d /tmp/sealcast-bench-XXXXXX)
export SEALCAST_LOCAL
chmod 755 "$SEALCAST_LOCAL"

peer=
clean_up() {
  trap '' INT TERM HUP
  peer_down
  local/down
  rm -rf "$SEALCAST_LOCAL"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

query() { psql -X -q -v ON_ERROR_STOP=1 -At "$@"; }

# What one would set on a small production server; both sides use it.
postgres_settings() {
  cat << 'END'
shared_buffers = 2GB
effective_cache_size = 4GB
max_wal_size = 4GB
min_wal_size = 2GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
maintenance_work_mem = 256MB
random_page_cost = 1.1
END
}

# The rate keeps the gate at work but never closed. The sidecar reads message types at its start.
bench_type="insert into sealcast.message_types (t, rate) values ('bench', 1000)"

source_env() {
  # shellcheck source=/dev/null
  . "$SEALCAST_LOCAL/env"
  export PGHOST PGPORT PGDATABASE PGUSER REDIS_URL
}

stack_up() {
  local state
  local/up postgres redis > /dev/null
  local/down
  # shellcheck disable=SC2016 # a variable of local/stack.sh
  state=$(in_stack 'echo "$STATE"')
  postgres_settings >> "$state/pgdata/postgresql.conf"
  local/up postgres redis > /dev/null
  source_env
  # A server that has run for a while recycles its WAL files instead of making new ones.
  query -c "select pg_logical_emit_message(false, 'bench', repeat('x', 1000000))
    from generate_series(1, 1500)" > /dev/null
  query -c checkpoint
  query -c "$bench_type"
}

# Runs a line of shell among the functions of local/stack.sh.
in_stack() { bash -c '. local/stack.sh; eval "$1"' in_stack "$1"; }

# Each side begins with an empty Redis and without the other's dirty pages.
begin_side() {
  redis-cli -u "$REDIS_URL" --no-auth-warning flushall > /dev/null
  query -c checkpoint
}

# SEALCAST_… variables are settings of the sidecar.
ours_up() {
  begin_side
  env "$@" local/up sealcastd > /dev/null
  source_env
  PORT=${SEALCAST_URL##*:}
  server_pid=$(in_stack 'pid_of sealcastd')
  session_secret=$SEALCAST_LOCAL/session-secret
  (umask 077 && printf %s "$SEALCAST_JWT_SECRET" > "$session_secret")
}
ours_down() { in_stack 'stop sealcastd TERM'; }

PEER_PROCESSES=${PEER_PROCESSES:-1}
PEER_POOL=${PEER_POOL:-16}
peer_up() {
  begin_side
  PORT=$(in_stack 'port_of peer')
  PORT=$PORT PG_POOL=$PEER_POOL PROCESSES=$PEER_PROCESSES NODE_ENV=production KEY_FILE=$SEALCAST_KEYRING/k1 \
    SESSION_SECRET_FILE=$session_secret node bench/peers/node/server.mjs 2>> "$SEALCAST_LOCAL/log/peer.log" &
  peer=$!
  for _ in {1..100}; do
    ! (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null || return 0
    sleep 0.1
  done
  echo "bench: the peer does not listen" >&2
  exit 1
}
peer_down() {
  [[ -n $peer ]] || return 0
  kill "$peer"
  wait "$peer" 2> /dev/null || true
  peer=
}

new_stream() { query -c "insert into sealcast.streams (title) values ('bench') returning stream_id" | head -n 1; }

# load OPTION…: one run of the load generator against the side that is up; its JSON is kept beside the report. What is
# too slow for an open loop (3) is a figure, what is wrong ends the bench.
load() {
  local result status=0
  result=$("$build/sealcast_load" --port "$PORT" --type bench --session-secret "$session_secret" \
    --keyring "$SEALCAST_KEYRING" "$@") || status=$?
  if ((status != 3 && status != 0)) || (($(numbers "$result" accepted) == 0)); then
    echo "bench: an answer or a frame is wrong: $result" >&2
    tail -n 20 "$SEALCAST_LOCAL"/log/{sealcastd,peer}.log >&2
    exit 1
  fi
  echo "$result" | tee -a "${report%.md}.jsonl"
}

# numbers JSON PATH…: of the load generator's, a line each.
numbers() {
  node -p 'const [json, ...paths] = process.argv.slice(1);
    paths.map((path) => path.split(".").reduce((object, name) => object[name], JSON.parse(json))).join("\n")' -- "$@"
}
# statuses JSON: how many answers had which status, and how many requests had none 10 s after the last.
statuses() {
  node -p 'const { statuses, unanswered } = JSON.parse(process.argv[1]);
    Object.entries(unanswered ? { ...statuses, none: unanswered } : statuses).map((s) => s.join(": ")).join(", ")' -- "$1"
}

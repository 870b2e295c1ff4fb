# Starts the stack to measure in a temporary directory, starts and stops both sides of a comparison, and runs the load
# generator. Most sections run one side at a time. Sourced by run.sh, which sets build and report.
# shellcheck shell=bash disable=SC2154,SC2034 # run.sh and the sections set and use these variables

SEALCAST_LOCAL=$(mktemp -d /tmp/sealcast-bench-XXXXXX)
export SEALCAST_LOCAL
chmod 755 "$SEALCAST_LOCAL"

peer=
clean_up() {
  trap '' INT TERM HUP
  stop_peer
  local/down
  rm -rf "$SEALCAST_LOCAL"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

query() { psql -X -q -v ON_ERROR_STOP=1 -At "$@"; }

# Typical settings of a small production server. Both sides use them.
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

# The rate limit is so high that the gate counts every message and refuses none. The sidecar reads message types at its
# start.
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
  # Fill WAL files now: a server that has run for some time recycles them instead of creating new ones.
  query -c "select pg_logical_emit_message(false, 'bench', repeat('x', 1000000))
    from generate_series(1, 1500)" > /dev/null
  query -c checkpoint
  query -c "$bench_type"
}

# in_stack CODE: runs shell code with the functions of local/stack.sh.
in_stack() { bash -c '. local/stack.sh; eval "$1"' in_stack "$1"; }

# Each side starts with an empty Redis and without the dirty pages of the other side.
prepare_side() {
  redis-cli -u "$REDIS_URL" --no-auth-warning flushall > /dev/null
  query -c checkpoint
}

# start_sealcastd [SEALCAST_…=VALUE…]: the variables are settings of the sidecar.
start_sealcastd() {
  prepare_side
  env "$@" local/up sealcastd > /dev/null
  source_env
  PORT=${SEALCAST_URL##*:}
  server_pid=$(in_stack 'pid_of sealcastd')
  session_secret=$SEALCAST_LOCAL/session-secret
  (umask 077 && printf %s "$SEALCAST_JWT_SECRET" > "$session_secret")
}
stop_sealcastd() { in_stack 'stop sealcastd TERM'; }

PEER_PROCESSES=${PEER_PROCESSES:-1}
PEER_POOL=${PEER_POOL:-16}
start_peer() {
  prepare_side
  PORT=$(in_stack 'port_of peer')
  PORT=$PORT PG_POOL=$PEER_POOL PROCESSES=$PEER_PROCESSES NODE_ENV=production KEY_FILE=$SEALCAST_KEYRING/k1 \
    SESSION_SECRET_FILE=$session_secret node bench/peers/node/server.mjs 2>> "$SEALCAST_LOCAL/log/peer.log" &
  peer=$!
  for _ in {1..100}; do
    ! (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null || return 0
    sleep 0.1
  done
  echo "bench: the peer did not listen within 10 s" >&2
  exit 1
}
stop_peer() {
  [[ -n $peer ]] || return 0
  kill "$peer"
  wait "$peer" 2> /dev/null || true
  peer=
}

new_stream() { query -c "insert into sealcast.streams (title) values ('bench') returning stream_id" | head -n 1; }

# load OPTION…: runs the load generator against the running side, and saves its JSON beside the report. Exit code 3
# means that the side is too slow for the open loop: that is a result. A wrong answer or frame ends the benchmark.
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

# numbers JSON PATH…: prints one line for each path in the JSON of the load generator.
numbers() {
  node -p 'const [json, ...paths] = process.argv.slice(1);
    paths.map((path) => path.split(".").reduce((object, name) => object[name], JSON.parse(json))).join("\n")' -- "$@"
}
# statuses JSON: prints the number of answers by status. `none` counts requests without an answer 10 s after the last
# one.
statuses() {
  node -p 'const { statuses, unanswered } = JSON.parse(process.argv[1]);
    Object.entries(unanswered ? { ...statuses, none: unanswered } : statuses).map((s) => s.join(": ")).join(", ")' -- "$1"
}

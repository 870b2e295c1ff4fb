#!/bin/bash
# Runs all test suites or the named ones, and prints the totals: [SUITE_MINUTES=N] tests/run.sh [SUITE…]
set -uo pipefail
shopt -s nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

suites=(unit pgtap upgrade integration client docs fuzz asan integration-asan tsan)
logs=build/test-logs
suite_minutes=${SUITE_MINUTES-45} # a suite that hangs must not take all the time of the CI
mkdir -p "$logs"

# Each suite has two functions: run_SUITE runs it, and count_SUITE counts the passed and failed tests in its log.

build_in() {
  case $1 in
    build) local/cmake "$@" ;;
    build/asan) local/cmake "$@" -- -DSEALCAST_SANITIZE=address,undefined ;;
    build/tsan) local/cmake "$@" -- -DSEALCAST_SANITIZE=thread ;;
  esac
}

# Builds the programs of the last suites while the first suites wait for their services.
build_ahead() {
  build_in build/asan core_tests sidecar_tests sealcastd sealcast_load sealcast_mosquitto
  build_in build/tsan sidecar_tests sealcastd
}

unit_tests() {
  local/npm tests/vectors &&
    build_in "$1" core_tests sidecar_tests &&
    ctest --test-dir "$1" -j"$(nproc)" --output-on-failure --no-tests=error
}
run_unit() { unit_tests build; }
run_asan() { unit_tests build/asan; }

# The stack allows sealcast_service to log in, for the sidecar. The tests expect the role as the extension creates it.
run_pgtap() {
  tests/with_stack.sh postgres -- bash -euc '
    psql -X -q -v ON_ERROR_STOP=1 -c "create extension pgtap" -c "alter role sealcast_service nologin"
    pg_prove --verbose --ext .sql tests/pgtap'
}

run_upgrade() { tests/with_stack.sh postgres -- tests/upgrade.sh; }

integration_tests() {
  local/npm . &&
    local/npm tests/event_sources &&
    build_in "$1" sealcastd sealcast_load sealcast_mosquitto &&
    SEALCAST_BUILD=$1 SEALCASTD=$1/sealcastd tests/in_lanes.sh "${@:2}"
}
run_integration() { integration_tests build tests/{integration,browser,chaos,soak}/*.test.mjs; }
# The sanitizers check the sidecar. This suite skips the tests of SQL, containers, pages and large numbers, and the
# tests that mostly wait.
run_integration-asan() {
  local files=(tests/integration/*.test.mjs) file selected=()
  for file in "${files[@]}"; do
    case ${file##*/} in
      sql_* | prepared.* | concurrency.* | economy.* | compose_hardening.* | hardening.* | canary.*) ;;
      crowded.* | switching_many.* | memory.* | worker_soak.* | bench.* | transports.* | region_failover.* | proxies.*) ;;
      *) selected+=("$file") ;;
    esac
  done
  integration_tests build/asan "${selected[@]}"
}

# The sidecar's own code has one thread, its libraries have more: these tests use name resolution, HTTP and MQTT.
run_tsan() {
  export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.suppressions
  build_in build/tsan sidecar_tests sealcastd &&
    ctest --test-dir build/tsan -j"$(nproc)" --output-on-failure --no-tests=error --exclude-regex core_tests &&
    SEALCASTD=build/tsan/sealcastd tests/in_lanes.sh tests/integration/{send,sse,failure,delivery,regions}.test.mjs
}

run_client() {
  local/npm . &&
    build_in build sealcastd sealcast_mosquitto &&
    tests/in_lanes.sh tests/client/*.test.mjs
}

run_docs() { build_in build sealcastd && docs/check.sh; }

run_fuzz() { tests/fuzz.sh 15; }

# Prints the names of the failed tests in a log with their errors, and where a suite stopped that did not end:
# name_failures LOG STATUS
name_failures() {
  sed -E 's/\x1b\[[0-9;]*m//g' "$1" | grep -v '# TODO' |
    grep -E '^ *✖ .*\([0-9.]+ms\)|^ +[A-Za-z]*Error( \[[A-Z_]+\])?: |^not ok |^# +Failed test |: Failure$|\*\*\*(Failed|Timeout|Exception)|Sanitizer: ' |
    awk '!seen[$0]++' | cut -c -300 | head -20
  (($2 != 124)) || tail -3 "$1"
}

# Each prints two numbers: the passed and the failed tests in a log.
count_ctest() {
  sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\2 \1/p' "$1" | awk '{print $1 - $2, $2}'
}
count_tap() { awk '/^ok /{p++} /^not ok .*# TODO/{p++; next} /^not ok /{f++} END {print p + 0, f + 0}' "$1"; }
count_node() { sed -E 's/\x1b\[[0-9;]*m//g' "$1" | awk '/^ℹ pass /{p += $3} /^ℹ (fail|cancelled) /{f += $3} END {print p + 0, f + 0}'; }
count_unit() { count_ctest "$1"; }
count_asan() { count_ctest "$1"; }
count_pgtap() { count_tap "$1"; }
count_upgrade() { count_tap "$1"; }
count_integration() { count_node "$1"; }
count_integration-asan() { count_node "$1"; }
count_tsan() { paste <(count_ctest "$1") <(count_node "$1") | awk '{print $1 + $3, $2 + $4}'; }
count_client() { count_node "$1"; }
count_fuzz() { count_tap "$1"; }
count_docs() { count_tap "$1"; }

# Within `timeout`, the script runs one suite and counts nothing.
if [[ ${1-} == --only-run ]]; then
  "run_$2"
  exit
fi

all=$((! $#))
((all)) || suites=("$@")
for suite in "${suites[@]}"; do
  declare -F "run_$suite" > /dev/null || {
    echo "tests/run.sh: unknown suite '$suite'; make help lists the suites" >&2
    exit 2
  }
done
local/deps run build test || exit 1
# A test has 10,000 readers, and each needs an open file. Root may raise the hard limit.
[[ $(ulimit -Hn) == unlimited ]] || (($(ulimit -Hn) >= 20000)) || ulimit -n 20000 2> /dev/null || true
# A compiler warning in the extension is an error.
export SEALCAST_CXXFLAGS=-Werror

if ((all)); then
  set -m # the build has its own process group, so that one kill ends all of it
  (
    renice -n 19 $BASHPID > /dev/null
    build_ahead
  ) > "$logs/ahead.log" 2>&1 < /dev/null &
  ahead=$!
  set +m
  trap 'kill -- -$ahead 2> /dev/null' EXIT
fi

passed=0
failed=0
lines=()
failures=
for suite in "${suites[@]}"; do
  printf '\n==== %s\n' "$suite"
  began=$SECONDS
  timeout --kill-after=60 "${suite_minutes}m" tests/run.sh --only-run "$suite" 2>&1 < /dev/null | tee "$logs/$suite.log"
  status=${PIPESTATUS[0]}
  ((status != 124)) || echo "the suite $suite was ended after $suite_minutes minutes; see $logs/$suite.log"
  read -r suite_passed suite_failed < <("count_$suite" "$logs/$suite.log")
  # A suite that aborts or runs no test counts as one failure at least.
  if ((status != 0 || ${suite_passed:-0} + ${suite_failed:-0} == 0)) && ((${suite_failed:-0} == 0)); then suite_failed=1; fi
  ((suite_failed == 0)) || failures+=$(printf '\n%s:\n%s' "$suite" "$(name_failures "$logs/$suite.log" "$status")")
  passed=$((passed + ${suite_passed:-0}))
  failed=$((failed + suite_failed))
  lines+=("$(printf '%-12s %6d passed %6d failed %6d s' "$suite" "${suite_passed:-0}" "$suite_failed" $((SECONDS - began)))")
done

printf '%s\n' "$failures" "${lines[@]}"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))

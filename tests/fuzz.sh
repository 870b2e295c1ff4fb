#!/bin/bash
# Builds the fuzzers and runs each for a number of seconds: tests/fuzz.sh SECONDS. New inputs and crashes go to build/fuzz/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1

local/deps build test
local/cmake build/fuzz all -- -DSEALCAST_FUZZ=ON -DSEALCAST_SIDECAR=OFF -DSEALCAST_TESTS=OFF \
  -DCMAKE_CXX_COMPILER=clang++-14

failed=0
for fuzzer in build/fuzz/*_fuzzer; do
  name=$(basename "$fuzzer")
  mkdir -p "build/fuzz/found/$name" "build/fuzz/crashes/$name"
  # Reallocation limits and slow inputs count as failures: hostile input may cost no more than linear time.
  if "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=1 \
    -artifact_prefix="build/fuzz/crashes/$name/" "build/fuzz/found/$name" "tests/fuzz/corpus/$name" \
    > "build/fuzz/$name.log" 2>&1; then
    echo "ok $name: $(grep -o 'Done.*' "build/fuzz/$name.log")"
  else
    tail -n 60 "build/fuzz/$name.log"
    echo "not ok $name: see build/fuzz/$name.log and build/fuzz/crashes/$name/"
    failed=1
  fi
done
exit "$failed"

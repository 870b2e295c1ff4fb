#!/bin/bash
# Builds the fuzzers and runs them, as many at once as there are cores: tests/fuzz.sh SECONDS [FUZZER…]. New inputs and
# crashes go to build/fuzz/; tests/fuzz.sh --keep [FUZZER…] takes into the corpus what reaches code that it does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export seconds=$1
shift

local/deps build test
local/cmake build/fuzz all -- -DSEALCAST_FUZZ=ON -DSEALCAST_SIDECAR=OFF -DSEALCAST_TESTS=OFF \
  -DCMAKE_CXX_COMPILER=clang++-14

# A fuzzer that crashes leaves its files behind.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

fuzz() {
  local name=$1 found=build/fuzz/found/$1 crashes=build/fuzz/crashes/$1 log=build/fuzz/$1.log words=()
  mkdir -p "$found" "$crashes"
  [[ ! -e tests/fuzz/dictionaries/$name.txt ]] || words=("-dict=tests/fuzz/dictionaries/$name.txt")
  # Reallocation limits and slow inputs count as failures: hostile input may cost no more than linear time.
  if "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=1 "${words[@]}" \
    -artifact_prefix="$crashes/" "$found" "tests/fuzz/corpus/$name" > "$log" 2>&1; then
    echo "ok $name: $(grep -o 'Done.*' "$log")"
  else
    tail -n 60 "$log"
    echo "not ok $name: see $log and $crashes/"
    return 1
  fi
}

# Without counters an input counts for the code that it reaches, and not for how often: tens of files, not hundreds.
keep() {
  "build/fuzz/$1" -set_cover_merge=1 -use_counters=0 -max_len=1024 "tests/fuzz/corpus/$1" "build/fuzz/found/$1" \
    > "build/fuzz/$1.log" 2>&1
  echo "$1: $(grep -o '[0-9]* new files.*' "build/fuzz/$1.log"); $(du -bs "tests/fuzz/corpus/$1" | cut -f1) bytes"
}
export -f fuzz keep

names=("$@")
((${#names[@]})) || mapfile -t names < <(basename -a build/fuzz/*_fuzzer)
what=fuzz
[[ $seconds != --keep ]] || what=keep
# shellcheck disable=SC2016 # the inner shell's
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -n 1 bash -c '"$0" "$1"' "$what"

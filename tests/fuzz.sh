#!/bin/bash
# Builds the fuzzers and runs one per core at a time: tests/fuzz.sh SECONDS [FUZZER…]. New inputs and crashes go to
# build/fuzz/. tests/fuzz.sh --keep [FUZZER…] adds to the corpus the new inputs that reach more code than the corpus
# does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export seconds=$1
shift

local/deps build test
local/cmake build/fuzz all -- -DSEALCAST_FUZZ=ON -DSEALCAST_SIDECAR=OFF -DSEALCAST_TESTS=OFF \
  -DCMAKE_CXX_COMPILER=clang++-14

# A crashed fuzzer leaves temporary files; removing this directory removes them.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

fuzz() {
  local name=$1 found=build/fuzz/found/$1 crashes=build/fuzz/crashes/$1 log=build/fuzz/$1.log dictionary=()
  mkdir -p "$found" "$crashes"
  [[ ! -e tests/fuzz/dictionaries/$name.txt ]] || dictionary=("-dict=tests/fuzz/dictionaries/$name.txt")
  # An input that needs 10 s or 2 GiB is a failure: the cost of hostile input must be linear in its size.
  if "build/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=1 "${dictionary[@]}" \
    -artifact_prefix="$crashes/" "$found" "tests/fuzz/corpus/$name" > "$log" 2>&1; then
    echo "ok $name: $(grep -o 'Done.*' "$log")"
  else
    tail -n 60 "$log"
    echo "not ok $name: see $log and $crashes/"
    return 1
  fi
}

# Without counters the merge keeps an input for the code that it reaches, not for how often it reaches the code. The
# corpus then has tens of files, not hundreds.
keep() {
  "build/fuzz/$1" -set_cover_merge=1 -use_counters=0 -max_len=1024 "tests/fuzz/corpus/$1" "build/fuzz/found/$1" \
    > "build/fuzz/$1.log" 2>&1
  echo "$1: $(grep -o '[0-9]* new files.*' "build/fuzz/$1.log"); $(du -bs "tests/fuzz/corpus/$1" | cut -f1) bytes"
}
export -f fuzz keep

names=("$@")
((${#names[@]})) || mapfile -t names < <(basename -a build/fuzz/*_fuzzer)
action=fuzz
[[ $seconds != --keep ]] || action=keep
# shellcheck disable=SC2016 # the inner shell expands these
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -n 1 bash -c '"$0" "$1"' "$action"

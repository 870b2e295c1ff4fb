#!/bin/bash
# Runs test files of Node in two lanes at once, since most tests wait: tests/in_lanes.sh FILE…
# Each lane has a stack of its own, and takes the next file from a queue. The output of a file is printed when it ends,
# so that the lines of two files do not mix.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# A file that hangs must not take all the time of its suite: 10 minutes a file.
node_tests=(node --test --test-reporter=spec --test-timeout=600000)

# Prints the first line of the queue, and removes it there.
next_file() {
  flock 7
  local file
  file=$(head -n 1 "$queue")
  sed -i 1d "$queue"
  flock -u 7
  [[ -n $file ]] && echo "$file"
}

run_lane() {
  local file output began status=0
  exec 7>> "$queue.lock"
  while file=$(next_file); do
    echo "$file begins"
    began=$SECONDS
    output=$("${node_tests[@]}" "$file" 2>&1 7>&-) || status=1
    printf '%s\n%s ends after %d s\n' "$output" "$file" $((SECONDS - began))
  done
  return "$status"
}

if [[ ${1-} == --lane ]]; then
  queue=$2
  run_lane
  exit
fi

queue=$(mktemp /tmp/sealcast-queue-XXXXXX)
trap 'rm -f "$queue" "$queue.lock"' EXIT
printf '%s\n' "$@" > "$queue"
lanes=()
for _ in 1 2; do
  tests/with_stack.sh -- tests/in_lanes.sh --lane "$queue" &
  lanes+=($!)
done
status=0
for lane in "${lanes[@]}"; do
  wait "$lane" || status=1
done
exit "$status"

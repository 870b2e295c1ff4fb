#!/bin/bash
# Starts a temporary stack, runs a command with the variables of its env file, and removes the stack in any case:
# tests/with_stack.sh [SERVICE…] -- COMMAND…
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

services=()
while (($#)) && [[ $1 != -- ]]; do
  services+=("$1")
  shift
done
(($# > 1)) || {
  echo "usage: tests/with_stack.sh [SERVICE…] -- COMMAND…" >&2
  exit 2
}
shift

SEALCAST_LOCAL=$(mktemp -d /tmp/sealcast-test-XXXXXX)
export SEALCAST_LOCAL
chmod 755 "$SEALCAST_LOCAL"
end() {
  local status=$?
  trap '' INT TERM HUP
  "$root/local/down"
  # A sanitizer reports leaks only when the process ends.
  if grep -q 'SUMMARY: [A-Za-z]*Sanitizer' "$SEALCAST_LOCAL"/log/*.log 2> /dev/null; then
    cat "$SEALCAST_LOCAL/log/sealcastd.log" >&2
    status=1
  fi
  if ((status)); then
    local kept=build/stack-log/${SEALCAST_LOCAL##*/} # several stacks may end at once
    mkdir -p "$root/build/stack-log"
    cp -r "$SEALCAST_LOCAL/log" "$root/$kept" 2> /dev/null && echo "The services' logs are in $kept" >&2
  fi
  rm -rf "$SEALCAST_LOCAL"
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# The tests know these keys. k1 signs. e1 is the key of RFC 8032, section 7.1, TEST 1.
mkdir "$SEALCAST_LOCAL/keyring"
for kid in 1 2; do
  echo "sealcast-test-key-$kid-0123456789abcdef" | install -m 600 /dev/stdin "$SEALCAST_LOCAL/keyring/k$kid"
done
install -m 600 /dev/stdin "$SEALCAST_LOCAL/keyring/e1.ed25519" << 'KEY'
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
KEY

"$root/local/up" "${services[@]}"
set -a
# shellcheck source=/dev/null
. "$SEALCAST_LOCAL/env"
set +a
"$@"

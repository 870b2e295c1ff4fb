# Compares sealing with pgcrypto in one backend.
# shellcheck shell=bash disable=SC2153,SC2154 # run.sh and stack.sh set these variables
echo "## Sealing in one backend"
echo
rounds=$((3 * ROUNDS))
echo "Rows per second over $ROWS rows, $rounds interleaved rounds: median [minimum–maximum]."
echo
header "canonical payload" operation "rows/s" "× pgcrypto, jsonb" "× pgcrypto, json" \
  "× pgcrypto, canonicalised by plpgsql"
query -v rows="$ROWS" -v rounds=$rounds -f bench/seal.sql | sed -E 's/\|/ | /g; s/^(.*)$/| \1 |/'

# Sealing in one backend beside pgcrypto.
# shellcheck shell=bash disable=SC2153,SC2154 # what run.sh and stack.sh set
echo "## Sealing in one backend"
echo
rounds=$((3 * ROUNDS))
echo "Rows a second over $ROWS rows, $rounds interleaved rounds: median [least–most]."
echo
header "canonical payload" what "rows/s" "× pgcrypto, jsonb" "× pgcrypto, json" "× pgcrypto, made canonical by plpgsql"
query -v rows="$ROWS" -v rounds=$rounds -f bench/seal.sql | sed -E 's/\|/ | /g; s/^(.*)$/| \1 |/'

# Prints the rows of the report's tables from the values of interleaved rounds. Sourced by run.sh.
# shellcheck shell=bash

# spread VALUE…: prints median [minimum–maximum].
spread() {
  printf '%s\n' "$@" | sort -g | awk '
    function show(x) { return x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x) }
    { v[NR] = $1 }
    END {
      median = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
      if (NR == 1) print show(median); else printf "%s [%s–%s]\n", show(median), show(v[1]), show(v[NR])
    }'
}

quotient() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b == 0 ? 0 : a / b }'; }

# ratios "A…" "B…": prints A/B of each round.
ratios() {
  local -a first second
  read -ra first <<< "$1"
  read -ra second <<< "$2"
  local i
  for i in "${!first[@]}"; do awk -v a="${first[i]}" -v b="${second[i]}" 'BEGIN { print b == 0 ? 0 : a / b }'; done
}

header() {
  row "$@"
  printf '|'
  printf '%.0s---|' "$@"
  printf '\n'
}
row() {
  printf '|'
  printf ' %s |' "$@"
  printf '\n'
}

# compared "A…" "B…": prints three cells: A, B, and the ratios A/B of the rounds.
compared() {
  local first second ratio
  # shellcheck disable=SC2086,SC2046 # lists
  first=$(spread $1) second=$(spread $2) ratio=$(spread $(ratios "$1" "$2"))
  printf '%s | %s | **%s**' "$first" "$second" "$ratio"
}

#!/bin/bash
# Checks what the documentation says against what is there: docs/check.sh [--write] [SEALCASTD]
# --write replaces the table of settings instead of comparing it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

write=
if [[ ${1-} == --write ]]; then
  write=1
  shift
fi
sealcastd=${1:-build/sealcastd}
[[ -x $sealcastd ]] || {
  echo "docs/check.sh: there is no $sealcastd; build it (make sidecar), or name one: docs/check.sh SEALCASTD" >&2
  exit 2
}
pages=(README.md CHANGELOG.md CONTRIBUTING.md docs/*.md)
failures=0
complain() {
  echo "docs: $*" >&2
  failures=$((failures + 1))
}

# ---- The table of settings is the binary's.
expected=$(mktemp)
trap 'rm -f "$expected"' EXIT
{
  sed '/<!-- settings:begin/q' docs/settings.md
  "$sealcastd" --print-settings
  sed -n '/<!-- settings:end/,$p' docs/settings.md
} > "$expected"
if [[ $write ]]; then
  cat "$expected" > docs/settings.md
elif ! diff -u docs/settings.md "$expected"; then
  complain "docs/settings.md differs from $sealcastd --print-settings; run: docs/check.sh --write"
fi

# ---- Every link leads somewhere.
anchors() { sed -n 's/^##* //p' "$1" | tr '[:upper:] ' '[:lower:]-' | sed 's/[^a-z0-9_-]//g'; }
for page in "${pages[@]}"; do
  [[ -e $page ]] || { complain "$page is missing"; continue; }
  while read -r link; do
    path=${link%%#*}
    target=$page
    [[ -z $path ]] || target=$(dirname "$page")/$path
    [[ -e $target ]] || complain "$page links to $link, which is not there"
    [[ $link != *#* || ! -f $target ]] || anchors "$target" | grep -qxF -- "${link#*#}" ||
      complain "$page links to $link, but $target has no such heading"
  done < <(grep -o '](\([^)]*\))' "$page" | sed 's/^](//; s/)$//' | grep -v '^[a-z]*:' || true)
done

# ---- Every name that others rely on is documented.
documented() {
  local page=$1 name
  while read -r name; do
    grep -qF -- "$name" "$page" || complain "$page does not mention $name"
  done
}
documented docs/sql.md < <(sed -n 's/^create \(function\|table\|type\|sequence\) sealcast\.\([a-z_]*\).*/\2/p' sql/[0-9]*.sql |
  grep -v '^outbox_[0-9]$' | sort -u)
documented docs/settings.md < <(grep -oh '"sealcast\.[a-z_]*"' extension/pg/settings.cpp | tr -d '"' | sort -u)
documented docs/operations.md < <(grep -oh '"sealcast_[a-z_]*"' sidecar/src/metrics/metrics.cpp | tr -d '"' | sort -u)
documented docs/operations.md < <(sed -n 's/.*std::string_view k[A-Za-z]* = "\(\[[A-Z]*\]\)";/\1/p' sidecar/src/log/log.h)
documented docs/errors.md < <(sed -n "/create function sealcast.judge/,/end \$\$/p" sql/40_judge.sql |
  grep -o "then '[a-z_]*'$" | sed "s/then '//; s/'//" | sort -u)

# ---- The examples of docs/envelope.md do what it says.
example() {
  local verdict expected=$1
  shift
  verdict=$("$@" docs/examples/keyring || true)
  [[ $verdict == "$expected" ]] || complain "$* answers \"$verdict\", not \"$expected\""
}
for program in 'node docs/examples/verify.mjs' 'python3 docs/examples/verify.py'; do
  command -v "${program%% *}" > /dev/null || { echo "docs: skipped, not installed: $program"; continue; }
  # shellcheck disable=SC2086 # a program and its argument
  example ok $program < docs/examples/envelope.json
  # shellcheck disable=SC2086
  example bad_signature $program < <(sed 's/hello/hullo/' docs/examples/envelope.json)
done

((failures == 0)) || {
  echo "docs: $failures failures" >&2
  exit 1
}
echo "docs: ok"

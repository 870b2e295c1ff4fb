#!/bin/bash
# Checks what the documentation says against what is there, in TAP: docs/check.sh [--write] [SEALCASTD]
# --write replaces the tables of settings and of rights instead of comparing them.
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

number=0
failed=0
complaints=()
complain() { complaints+=("$*"); }
# Ends a check that has complained, or has not.
report() {
  number=$((number + 1))
  if ((${#complaints[@]} == 0)); then
    echo "ok $number - $1"
    return
  fi
  failed=1
  echo "not ok $number - $1"
  printf '# %s\n' "${complaints[@]}"
  complaints=()
}

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
# generated PAGE MARK: the lines between the comments `MARK:begin` and `MARK:end` of the page are those on standard input.
generated() {
  if (($(grep -cE "^<!-- $2:(begin|end)" "$1") != 2)); then
    complain "$1 lacks the comment '<!-- $2:begin -->' or '<!-- $2:end -->'"
    return
  fi
  {
    sed "/^<!-- $2:begin/q" "$1"
    cat
    sed -n "/^<!-- $2:end/,\$p" "$1"
  } > "$files/expected"
  if [[ $write ]]; then cat "$files/expected" > "$1"; fi
  local difference line
  if ! difference=$(diff "$1" "$files/expected"); then
    complain "docs/check.sh --write fixes this:"
    while read -r line; do complain "$line"; done <<< "$difference"
  fi
}
generated docs/settings.md settings < <("$sealcastd" --print-settings)
report "docs/settings.md has the table of $sealcastd --print-settings"

# A server of its own has both extensions as this checkout builds them. psql writes one file per table.
# shellcheck disable=SC2016 # the inner shell expands these
tests/with_stack.sh postgres -- bash -euc '
  psql -X -q -v ON_ERROR_STOP=1 -c "create extension sealcast_economy"
  for schema in sealcast sealcast_internal sealcast_economy; do
    for table in functions tables roles; do
      psql -X -q -v schema="$schema" -v table="$table" -f docs/rights.sql -o "$1/$schema.$table"
    done
  done' with_stack "$files" > "$files/log" 2>&1 || complain "there is no catalogue to compare with: $(tail -n 5 "$files/log")"
# rights PAGE SCHEMA TABLE…: the page has these tables of the rights in the schema.
rights() {
  local page=$1 schema=$2 table
  for table in "${@:3}"; do
    [[ -s $files/$schema.$table ]] || complain "docs/rights.sql printed no $table of $schema"
    generated "$page" "$table of $schema" < "$files/$schema.$table"
  done
  report "$page has the rights that the catalogue has in the schema $schema"
}
if ((${#complaints[@]} == 0)); then
  rights docs/sql.md sealcast functions tables
  rights docs/sql_internal.md sealcast_internal functions tables
  rights docs/economy.md sealcast_economy functions tables
  rights docs/security.md sealcast roles
else
  report 'the pages have the rights of the catalogue'
fi

pages=(README.md CHANGELOG.md CONTRIBUTING.md {client,core,extension,mosquitto,sidecar,sql}/README.md docs/*.md docs/*/*.md)
anchors() { sed -n 's/^##* //p' "$1" | tr '[:upper:] ' '[:lower:]-' | sed 's/[^a-z0-9_-]//g'; }
for page in "${pages[@]}"; do
  if [[ ! -e $page ]]; then
    complain "there is no $page"
    continue
  fi
  while read -r link; do
    target=$page
    [[ $link == '#'* ]] || target=$(dirname "$page")/${link%%#*}
    if [[ ! -e $target ]]; then
      complain "$page links to $link, which is not there"
    elif [[ $link == *#* ]] && ! anchors "$target" | grep -qxF -- "${link#*#}"; then
      complain "$page links to $link, but that page has no such heading"
    fi
  done < <(grep -o '](\([^)]*\))' "$page" | sed 's/^](//; s/)$//' | grep -v '^[a-z]*:' || true)
  while read -r file; do
    [[ -e $file ]] || complain "$page names $file, which is not there"
  done < <(grep -oE '(^|[^A-Za-z0-9_./-])(core|extension|sidecar/src|sql|tests)/[a-z0-9_./]+\.(cpp|h|sql|mjs|sh)\b' "$page" | sed 's/^[^a-z]//' | sort -u)
done
while IFS=: read -r source page; do
  [[ -e $page ]] || complain "$source speaks of $page, which is not there"
done < <(git grep -o 'docs/[a-z]*\.md' -- . ':!docs')
report 'links, and source files and pages that are named, exist'

# mentions PAGE: every name on standard input stands in the page.
mentions() {
  local name names=0
  while read -r name; do
    names=$((names + 1))
    grep -qwF -- "$name" "$1" || complain "$1 does not mention $name"
  done
  ((names > 0)) || complain "found no name that $1 should mention: fix docs/check.sh"
  report "$1 mentions $2"
}
# names_in SCHEMA: the objects that the scripts of the extension create in the schema.
names_in() {
  sed -n "s/^create \(function\|procedure\|table\|view\|type\|sequence\) $1\.\([a-z_0-9]*\).*/\2/p" sql/[0-9]*.sql | sort -u
}
mentions docs/sql.md 'every function, table and type of sealcast' < <(names_in sealcast)
mentions docs/sql_internal.md 'every function, table and sequence of sealcast_internal' < <(names_in sealcast_internal)
mentions docs/economy.md 'every function, table and type of sealcast_economy' < <(
  sed -n 's/^create \(function\|table\|type\) sealcast_economy\.\([a-z_0-9]*\).*/\2/p' sql/economy/[0-9]*.sql | sort -u
)
mentions docs/settings.md 'every setting of the extension' < <(
  grep -oh '"sealcast\.[a-z_]*"' extension/server/settings.cpp | tr -d '"'
)
mentions docs/operations.md 'every metric' < <(grep -oh '"sealcast_[a-z_]*"' sidecar/src/base/metrics.{h,cpp} | tr -d '"')
mentions docs/operations.md 'every tag of the log' < <(
  sed -n 's/.*std::string_view k[A-Za-z]* = "\(\[[A-Z]*\]\)";/\1/p' sidecar/src/base/log.h
)
mentions docs/errors.md 'every code' < <(
  {
    grep -oh '\.code = .*"[a-z_]*"' extension/*/*.cpp | grep -o '"[a-z_]*"' | tr -d '"'
    grep -ohE "(refuse|return )\([0-9]*, '[a-z_]*'" sql/[0-9]*.sql sql/economy/[0-9]*.sql | sed "s/.*, '//; s/'//"
    grep -rohE '(\.code = |\b(40[0-9]|4[1-9][0-9]|50[0-9]), )"[a-z_]+"' sidecar/src | sed 's/.*"\(.*\)"/\1/'
  } | sort -u
)
mentions docs/http.md 'every route' < <(grep -rohE '"/(rpc|streams|healthz|readyz|metrics|openapi|regions|[.]well-known)[^" ]*"' sidecar/src | tr -d '"' | sort -u)

version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" sealcast.control)
grep -qF "\"version\": \"$version\"" client/package.json || complain "sealcast.control has $version"
report 'client/package.json has the version of sealcast.control'

mentions docs/client.md 'every error code and option of the client library' < <(
  {
    grep -rohE "failure\('[a-z_]+'" client | sed "s/.*'\(.*\)'/\1/"
    sed -n '/^export interface \(Client\|Subscribe\|Send\)Options/,/^}/s/^  \([a-zA-Z]*\)?*:.*/\1/p' client/index.d.ts
  } | sort -u
)

for program in 'node docs/examples/verify.mjs' 'python3 docs/examples/verify.py'; do
  if ! command -v "${program%% *}" > /dev/null; then
    number=$((number + 1))
    echo "ok $number - $program # SKIP not installed"
    continue
  fi
  for want in ok bad_signature; do
    for envelope in docs/examples/envelope.json docs/examples/envelope_ed25519.json; do
      content=hello
      [[ $want == ok ]] || content=hullo
      # shellcheck disable=SC2086 # a program and its argument
      verdict=$(sed "s/hello/$content/" "$envelope" | $program docs/examples/keyring || true)
      [[ $verdict == "$want" ]] || complain "the verdict on $envelope is \"$verdict\""
    done
    report "$program answers $want"
  done
done

echo "1..$number"
exit "$failed"

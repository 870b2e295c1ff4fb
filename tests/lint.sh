#!/bin/bash
# Checks the formatting and the shell scripts, and runs cppcheck and clang-tidy. With SINCE=COMMIT clang-tidy checks
# only the files that have changed since this branch left COMMIT.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/deps build test lint

git ls-files '*.cpp' '*.h' | xargs -r clang-format --dry-run --Werror
git grep -lE '^#!.*\b(ba)?sh$' | xargs -r shellcheck
shellcheck local/*.sh bench/*.sh bench/sections/*.sh tests/*.sh
# --force: with -D alone, cppcheck would skip the other branches of each #if.
cppcheck -q -j "$(nproc)" --std=c++20 --language=c++ --enable=warning,performance,portability --error-exitcode=1 \
  --suppressions-list=tests/cppcheck.suppressions --force -DSEALCAST_VERSION='"0"' \
  -I. -Iextension -Isidecar/src core extension sidecar/src mosquitto

# clang-tidy checks a header with each source that includes it. With SINCE it checks a changed header by itself.
sources() {
  if [[ -n ${SINCE:-} ]]; then
    git diff --name-only --diff-filter=d --merge-base "$SINCE" -- "${@/%/*.cpp}" "${@/%/*.h}"
  else
    git ls-files -- "${@/%/*.cpp}"
  fi
}

[[ -e build/compile_commands.json ]] || cmake -S . -B build
sources core/ sidecar/src/ mosquitto/ |
  xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' -p build
# PGXS compiles these files, and it writes no compile_commands.json.
server=$("${PG_CONFIG:-pg_config}" --includedir-server)
sources extension/ | xargs -r -I {} -P "$(nproc)" \
  clang-tidy --quiet --warnings-as-errors='*' {} -- -x c++ -std=c++20 -I"$PWD" -I"$PWD/extension" -isystem "$server"

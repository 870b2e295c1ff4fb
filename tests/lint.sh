#!/bin/bash
# Checks formatting, shell scripts and what cppcheck and, over the compile commands of build/, clang-tidy find.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/deps build test lint

git ls-files '*.cpp' '*.h' | xargs -r clang-format --dry-run --Werror
git grep -lE '^#!.*\b(ba)?sh$' | xargs -r shellcheck
shellcheck local/*.sh bench/*.sh bench/sections/*.sh tests/*.sh
cppcheck -q -j "$(nproc)" --std=c++20 --language=c++ --enable=warning,performance,portability --error-exitcode=1 \
  --suppressions-list=tests/cppcheck.suppressions -Iextension -Isidecar/src extension sidecar/src mosquitto
[[ -e build/compile_commands.json ]] || cmake -S . -B build
git ls-files 'extension/core/*.cpp' 'sidecar/src/*.cpp' 'mosquitto/*.cpp' |
  xargs -r -n 4 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' -p build

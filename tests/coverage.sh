#!/bin/bash
# Prints how much of the core and of the sidecar the unit tests reach; build/coverage/index.html shows each line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

local/deps build test coverage
local/npm tests/vectors
nice local/cmake build/coverage core_tests sidecar_tests -- -DCMAKE_CXX_FLAGS=--coverage
find build/coverage -name '*.gcda' -delete
ctest --test-dir build/coverage -j"$(nproc)" --output-on-failure --no-tests=error
gcovr --root . --object-directory build/coverage --filter core/ --filter sidecar/src/ \
  --exclude-directories '.*CompilerId.*' --exclude-throw-branches --html-details build/coverage/index.html --print-summary

#!/bin/bash
# Takes the containers up, tries them out, and takes them down with their volumes; runs beside an engine.
set -euo pipefail
down() { tests/compose/docker_compose down --volumes --timeout 30; }
trap down EXIT
tests/compose/docker_compose up --wait --no-build
node --test --test-reporter=spec tests/compose/compose.test.mjs || {
  tests/compose/docker_compose logs --no-color --tail 100 > build/compose.log
  echo "The containers' logs are in build/compose.log" >&2
  exit 1
}

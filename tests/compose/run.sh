#!/bin/bash
# Starts the containers, tests them, and removes them with their volumes. Runs within engine.sh.
set -euo pipefail
down() {
  local status=$? left
  tests/compose/docker_compose down --volumes --timeout 30 || status=1
  left=$(docker ps -aq && docker volume ls -q && docker network ls -q --filter type=custom)
  [[ -z $left ]] || {
    printf 'docker compose down has left these containers, volumes or networks:\n%s\n' "$left" >&2
    status=1
  }
  exit "$status"
}
trap down EXIT
{ tests/compose/docker_compose up --wait --no-build && node --test --test-reporter=spec tests/compose/compose.test.mjs; } || {
  {
    docker ps -aq | xargs docker inspect --format '{{.Name}} {{json .State}}'
    tests/compose/docker_compose logs --no-color --tail 100
  } > build/compose.log
  tests/compose/docker_compose ps --all >&2
  echo "The containers' states, health check results and logs are in build/compose.log" >&2
  exit 1
}

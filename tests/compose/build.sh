#!/bin/bash
# Imports the base image and builds the images; runs beside an engine.
set -euo pipefail
# One import for each base: what is built on it stays valid.
if [[ ! -e $BASE/.imported || -z $(docker images -q debian:bookworm-slim) ]]; then
  tar -C "$BASE" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' -c . |
    docker import - debian:bookworm-slim
  touch "$BASE/.imported"
fi
tests/compose/docker_compose -f docker-compose.yml -f host_network.yml --progress plain build

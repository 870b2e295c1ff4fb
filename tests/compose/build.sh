#!/bin/bash
# Imports the base image and builds the images. Runs within engine.sh.
set -euo pipefail
# Import a base only once: a new import would invalidate all images that are built on it.
if [[ ! -e $BASE/.imported || -z $(docker images -q debian:bookworm-slim) ]]; then
  tar -C "$BASE" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' -c . |
    docker import - debian:bookworm-slim
  touch "$BASE/.imported"
fi
tests/compose/docker_compose -f docker-compose.yml -f host_network.yml --progress plain build

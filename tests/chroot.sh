# A Debian release in a directory, and commands in it. What they mount and start lives in namespaces of their own and goes
# with them: the directory holds nothing of the machine, so that removing it removes nothing else. Sourced.
# shellcheck shell=bash

MIRROR=${SEALCAST_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# make_chroot RELEASE DIRECTORY: does nothing when it is there.
make_chroot() {
  [[ ! -e $2/.complete ]] || return 0
  remove_chroot "$2"
  mkdir -p "$(dirname "$2")"
  nice unshare --mount debootstrap --variant=minbase "$1" "$2" "$MIRROR"
  # Packages of servers start none when they are installed.
  printf '#!/bin/sh\nexit 101\n' | install -m 755 /dev/stdin "$2/usr/sbin/policy-rc.d"
  # What the machine trusts, for a network with authorities of its own.
  install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/ca-certificates.crt"
  touch "$2/.complete"
}

remove_chroot() {
  [[ -e $1 ]] || return 0
  if findmnt --raw --noheadings --output TARGET | grep -E "^$(realpath "$1")(/|\$)"; then
    echo "these are mounted below $1, which is not removed therefore" >&2
    return 1
  fi
  rm -rf --one-file-system "$1"
}

# in_chroot DIRECTORY COMMAND…: as root, in namespaces for mounts and processes.
in_chroot() {
  # shellcheck disable=SC2016 # for the inner shell
  nice unshare --mount --pid --fork --kill-child -- sh -euc '
    mount -t proc proc "$1/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$@"' sh "$@"
}

# copy_sources DIRECTORY: the checkout as it is, without what is built.
copy_sources() {
  rm -rf --one-file-system "$1"
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read -c | tar -C "$1" -x
}

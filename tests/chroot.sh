# Functions that install a Debian release in a directory and run commands in it. Each command has its own namespaces,
# and its mounts and processes end with them. So no file system of the machine is mounted below the directory, and
# removing the directory removes nothing else. Sourced by compose.sh, pg17.sh and rabbitmq.sh.
# shellcheck shell=bash

MIRROR=${SEALCAST_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# make_chroot RELEASE DIRECTORY: does nothing when the directory is complete.
make_chroot() {
  [[ ! -e $2/.complete ]] || return 0
  remove_chroot "$2"
  mkdir -p "$(dirname "$2")"
  nice unshare --mount debootstrap --variant=minbase "$1" "$2" "$MIRROR"
  # Debian's server packages must not start a service when they are installed.
  printf '#!/bin/sh\nexit 101\n' | install -m 755 /dev/stdin "$2/usr/sbin/policy-rc.d"
  # Copy the machine's certificate authorities: its network may have its own.
  install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/ca-certificates.crt"
  touch "$2/.complete"
}

remove_chroot() {
  [[ -e $1 ]] || return 0
  if findmnt --raw --noheadings --output TARGET | grep -E "^$(realpath "$1")(/|\$)"; then
    echo "tests/chroot.sh: cannot remove $1; unmount the file systems listed above first" >&2
    return 1
  fi
  rm -rf --one-file-system "$1"
}

# in_chroot DIRECTORY COMMAND…: runs a command as root, in new mount and process namespaces.
in_chroot() {
  # shellcheck disable=SC2016 # the inner shell expands these
  nice unshare --mount --pid --fork --kill-child -- sh -euc '
    mount -t proc proc "$1/proc"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$@"' sh "$@"
}

# copy_sources DIRECTORY: copies the checkout with its uncommitted changes, without ignored files.
copy_sources() {
  rm -rf --one-file-system "$1"
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read -c | tar -C "$1" -x
}

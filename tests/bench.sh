#!/bin/sh
# SPDX-License-Identifier: MIT
# How fast qatime is, as ratios of one run on this machine; Debian 12, as root or as a user with sudo:
#
#   sh tests/bench.sh [updates] [apply] [ingest] [backlog] [redis] [admin] [startup]
#
# tests/bench/README.md says what each measures, beside which peer, how, and what came out. `apply` takes half an hour,
# PAIRS=3 gives a quick look; `backlog` takes 4 GB of disk. Figures differ from machine to machine and from hour to hour;
# the ratios are what to trust.

cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh
# shellcheck disable=SC2086
need $BUILD_PACKAGES $SERVER_PACKAGES redis-server redis-tools python3 || exit 1
build=build/bench
[ -f $build/build.ninja ] || meson setup $build --wrap-mode=nodownload >&2 || exit 1
meson compile -C $build qatime nfs_files naive backlog engine setattrs trivial_server latency count_lines \
  count_datagrams delay flood redis_bench >&2 || exit 1
QATIME=$build/src/qatime QATIME_NFS_FILES=$build/tests/nfs_files QATIME_BENCH=$build/tests \
  exec python3 tests/bench/bench.py "$@"

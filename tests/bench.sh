#!/bin/sh
# SPDX-License-Identifier: MIT
# How fast qatime is, as ratios of one run on this machine; Debian 12, as root or as a user with sudo:
#
#   sh tests/bench.sh [updates] [apply] [ingest] [backlog] [redis] [admin] [startup]
#
#   updates   access times set per second, beside a client that sets one after the other
#   apply     the engine alone, by kinds of work, beside a raw client, the plain loop of libnfs and one nfs_utimes after
#             the other; and the time from a record to its access time. Half an hour; PAIRS=3 for a quick look
#   ingest    records per second and CPU time per record over TCP and UDP, beside rsyslog with a filter on the operation
#             and programs that only read; what is lost over UDP
#   backlog   what keeping the backlog on disk costs, how much it carries, up to ten million accesses, and how fast it is
#             read back; beside rsyslog's disk queue. Takes 4 GB of disk
#   redis     handing over to the shared backlog, beside bare pipelined ZADDs and beside one SET per record; claiming from
#             it, by two qatimes beside one; what a path takes there
#   admin     what a scrape of a thousand nodes takes, and what scrapes cost the thread that receives
#   startup   time until the program has said its version, and until the daemon listens, beside /bin/true; of the static
#             program if there is one in build/static
#
# Absolute figures differ from machine to machine and from hour to hour; the ratios are what to trust. Each is a median
# of several alternating runs. tests/bench/bench.py says how they are measured.

cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh
# shellcheck disable=SC2086
need $BUILD_PACKAGES $SERVER_PACKAGES redis-server redis-tools python3 || exit 1
build=build/bench
[ -f $build/build.ninja ] || meson setup $build --wrap-mode=nodownload >&2 || exit 1
meson compile -C $build qatime nfs_files naive backlog engine setattrs trivial_server latency count_lines count_datagrams \
  flood redis_bench >&2 || exit 1
QATIME=$build/src/qatime QATIME_NFS_FILES=$build/tests/nfs_files QATIME_BENCH=$build/tests \
  exec python3 tests/bench/bench.py "$@"

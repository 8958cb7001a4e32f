#!/bin/sh
# SPDX-License-Identifier: MIT
# boot_systemd.sh DIRECTORY: a systemd that is PID 1 of namespaces of its own and knows the units in DIRECTORY/units
# only, of which it starts qatime.service. It sees DIRECTORY/bin as /usr/local/bin, DIRECTORY/lib as /var/lib and a copy
# of DIRECTORY/etc as /etc/qatime, and the network of its host. SIGKILL to this process ends it and all of its services. Needs root.
set -e

if [ "$2" != inside ]; then
  cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/qatime-test-$$
  mkdir "$cgroup"
  echo "$cgroup" >"$1/cgroup"
  echo $$ >"$cgroup/cgroup.procs"
  exec unshare --mount --pid --uts --ipc --cgroup --propagation private --fork --kill-child sh "$0" "$1" inside
fi

mount -t proc proc /proc
mount -t tmpfs tmpfs /run
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$1/bin" /usr/local/bin
mount --bind "$1/lib" /var/lib
mkdir -p /run/etc/qatime /run/work
cp -p "$1"/etc/* /run/etc/qatime
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
exec env -i container=other "PATH=$PATH" "SYSTEMD_UNIT_PATH=$1/units" \
  /lib/systemd/systemd --system --unit=qatime.service --log-target=null --show-status=no

#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The first process of the machine that tests/servers starts: makes file systems and exports them over NFSv3.
#
# The disks are new and empty. /dev/vda becomes ext4, /dev/vdb ext4 with inodes of 128 bytes, which have whole seconds,
# and /dev/vdc xfs. On this one a directory keeps its atime when it is read; on the others it does not, as is usual.
# Port 23 is a shell for root. The line "ready: SYSTEM" on the console says that all is there.

set -e  # its end stops the machine
export PATH=/bin:/sbin:/usr/sbin LD_LIBRARY_PATH=/lib64
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /run/rpcbind /var/lib/nfs/v4recovery /srv/ext4 /srv/seconds /srv/xfs /srv/tmpfs
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev

depmod
modprobe -a virtio_pci virtio_blk virtio_net xfs nfsd
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up

/sbin/mke2fs -q -t ext4 -E nodiscard /dev/vda
/sbin/mke2fs -q -t ext4 -E nodiscard -I 128 /dev/vdb
/sbin/mkfs.xfs -q -K /dev/vdc
mount -t ext4 /dev/vda /srv/ext4
mount -t ext4 /dev/vdb /srv/seconds
mount -t xfs -o noatime /dev/vdc /srv/xfs
mount -t tmpfs none /srv/tmpfs

# The programs of NFS look for users, services and mounts there.
printf 'root:x:0:0::/:/bin/sh\n_rpc:x:1:1::/run/rpcbind:/bin/sh\n' >/etc/passwd
printf 'root:x:0:\n_rpc:x:1:\n' >/etc/group
printf 'sunrpc 111/tcp\nsunrpc 111/udp\nnfs 2049/tcp\n' >/etc/services
ln -s /proc/mounts /etc/mtab
ln -s /run /var/run
mount -t nfsd none /proc/fs/nfsd
touch /var/lib/nfs/etab /var/lib/nfs/rmtab /etc/exports

rpcbind
number=0
for export in ext4 seconds xfs tmpfs; do
  number=$((number + 1))
  exportfs -o rw,insecure,no_root_squash,no_subtree_check,fsid=$number "*:/srv/$export"
done
rpc.nfsd -V 3 -N 4 4
rpc.mountd -p 20048

nc -ll -p 23 -e sh &
echo "ready: Linux $(uname -r)"
while :; do sleep 1000; done

#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the machine that has Linux's NFS server, out of Debian packages; nothing is installed:
#
#   sh tests/servers/image.sh DIRECTORY
#
# DIRECTORY gets `vmlinuz`, `initrd` and the packages, in `packages/`. Later runs take what is there, until this script
# or init.sh has changed. Exit status 77 where the packages are not to be had.

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1" || exit 1
. "$here/../packages.sh"

# The programs, and the libraries that they need.
PACKAGES="busybox-static e2fsprogs nfs-common nfs-kernel-server rpcbind xfsprogs libblkid1 libc6 libcap2 libcom-err2
  libext2fs2 libgcrypt20 libgpg-error0 libgssapi-krb5-2 libinih1 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0
  liblz4-1 liblzma5 libnsl2 libsystemd0 libtirpc-common libtirpc3 liburcu8 libuuid1 libwrap0 libzstd1"
PROGRAMS="bin/busybox sbin/mke2fs sbin/mkfs.xfs sbin/rpcbind usr/sbin/exportfs usr/sbin/rpc.mountd usr/sbin/rpc.nfsd"
# Folders and files of the kernel's modules. The machine finds out which of them need which.
MODULES="fs/lockd fs/nfs_common fs/nfsd fs/xfs net/sunrpc lib/libcrc32c.ko drivers/virtio drivers/block/virtio_blk.ko
  drivers/net/virtio_net.ko drivers/net/net_failover.ko net/core/failover.ko"

# The kernel's package has its version in its name.
kernel() { apt-cache depends --important linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: //p'; }

download() {
  # shellcheck disable=SC2046,SC2086
  [ "$(kernel)" ] && (cd packages && apt-get -qq -o APT::Sandbox::User="$(id -un)" download $PACKAGES $(kernel))
}

fetch() {
  [ "$(cat packages/fetched 2>/dev/null)" != "$PACKAGES" ] || return 0
  rm -rf packages && mkdir packages && { download || { apt_get update && download; }; } &&
    echo "$PACKAGES" >packages/fetched
}

# unpack PLACE: all packages, in one tree.
unpack() {
  for package in packages/*.deb; do dpkg-deb -x "$package" "$1" || return; done
}

# assemble TREE ROOT: takes what the machine needs.
assemble() {
  mkdir -p "$2/etc" "$2/lib64"
  (cd "$1" && cp --parents $PROGRAMS etc/netconfig "$2") || return
  cp -P "$1"/lib/x86_64-linux-gnu/*.so* "$1"/usr/lib/x86_64-linux-gnu/*.so* "$2/lib64" || return
  for module in $MODULES; do (cd "$1"/ && cp -r --parents lib/modules/*/kernel/"$module" "$2") || return; done
  cp "$here/init.sh" "$2/init" && chmod +x "$2/init"
}

# pack TREE ROOT
pack() {
  cp "$1"/boot/vmlinuz-* vmlinuz && (cd "$2" && find . | "$1/bin/busybox" cpio -o -H newc -R 0:0) >initrd
}

made_by=$(cat "$here/image.sh" "$here/init.sh" | sha256sum)
[ "$(cat made_by 2>/dev/null)" != "$made_by" ] || exit 0
rm -f made_by
fetch || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unpack "$work/tree" && assemble "$work/tree" "$work/root" && pack "$work/tree" "$work/root" || exit 1
echo "$made_by" >made_by

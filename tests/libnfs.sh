#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds another copy of libnfs, for qatime to be built with:
#
#   sh tests/libnfs.sh DIRECTORY [NAME [FLAG...]]
#
# DIRECTORY has the source of a release. The library is static and goes to build/NAME; without one, NAME is the last
# part of DIRECTORY. FLAGs go to the compiler, like -fsanitize=address. It needs cmake and downloads nothing. The last
# line that it prints says how qatime is told of the copy.

case $1 in /* | "") source=$1 ;; *) source=$PWD/$1 ;; esac
cd "$(dirname "$0")/.." || exit 1
[ -f "$source/configure.ac" ] || { sed -n '/^#   sh/s/^#   //p' "$0" && exit 2; }
version=$(sed -n 's/^AC_INIT(\[libnfs\], *\[\([0-9.]*\)\].*/\1/p' "$source/configure.ac")
name=${2:-$(basename "$source")}
shift $(($# > 1 ? 2 : 1))
prefix=$PWD/build/$name
mkdir -p "$prefix/lib/pkgconfig"

build() {
  CFLAGS="-O1 -g -w $*" cmake -S "$source" -B "$prefix/work" -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_DISABLE_FIND_PACKAGE_GSSAPI=ON -DCMAKE_DISABLE_FIND_PACKAGE_GnuTLS=ON &&
    cmake --build "$prefix/work" -j "$(nproc)" && cmake --install "$prefix/work" || return
  # The static library of version 4 lacks what is generated from the protocols.
  rm "$prefix/lib/libnfs.a" && find "$prefix/work" -name '*.o' -exec ar rcs "$prefix/lib/libnfs.a" {} +
}
build "$@" >"$prefix/log" 2>&1 || { tail -n 20 "$prefix/log" && exit 1; }

cat >"$prefix/lib/pkgconfig/libnfs.pc" <<END
Name: libnfs
Description: NFS client
Version: $version
Libs: -L$prefix/lib -lnfs
Cflags: -I$prefix/include
END
echo "PKG_CONFIG_PATH=$prefix/lib/pkgconfig"

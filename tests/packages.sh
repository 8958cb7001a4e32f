# SPDX-License-Identifier: MIT
# Sourced by scripts that install what they need on Debian 12.
#
#   need PACKAGE...   installs the packages that are missing, with sudo when not root; silent when there are none

# Needed to build qatime.
BUILD_PACKAGES="g++ meson ninja-build pkg-config libnfs-dev libssl-dev zlib1g-dev libutf8proc-dev libsqlite3-dev
  libboost1.81-dev libhiredis-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libcli11-dev catch2 ccache"
# ccache finds a file again that was compiled in another clone, because it takes paths relative to this one and leaves
# the build's directory out. It leaves the locale out, too, and does not pass by meson's precompiled headers.
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$PWD}" CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,locale

# Needed to try it.
SERVER_PACKAGES="nfs-ganesha nfs-ganesha-mem nfs-ganesha-vfs"

need() {
  missing=
  for package; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  echo "installing:$missing"
  # The package lists may be missing or older than what the mirror still has.
  # shellcheck disable=SC2086
  apt_get install $missing || { apt_get update && apt_get install $missing; }
}

apt_get() {
  set -- env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
  [ "$(id -u)" = 0 ] || set -- sudo "$@"
  "$@" >/dev/null
}

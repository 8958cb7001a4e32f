# SPDX-License-Identifier: MIT
# Sourced by scripts that build qatime, in the root of a checkout, for its tests.
#
#   build_gcc, build_asan, build_tsan [TARGET...]   brings build/gcc, build/asan, build/tsan up to date
#
# Two scripts may ask for the same build at once: one of them waits.

# With few compilations of the large headers: the suite files sees that every file compiles alone.
# Of the symbols for a debugger they have what backtraces need, because the others take a quarter of the time.
FOR_TESTS="-Dbuildtype=debug -Doptimization=1 --unity=on"
SYMBOLS=-g1

# configure NAME [MESON OPTION...]: in build/NAME, unless it is.
configure() {
  directory=build/$1
  shift
  [ -f "$directory/build.ninja" ] && return
  rm -rf "$directory"
  meson setup "$directory" --wrap-mode=nodownload -Dwerror=true -Db_ndebug=false "$@"
}

# locked NAME COMMAND...: what it does, while nobody else does something of this name.
locked() {
  mkdir -p build
  lock=build/$1.lock
  shift
  # shellcheck disable=SC2094
  (flock 9 && "$@") 9>"$lock"
}

# compile NAME [TARGET...]
compile() {
  name=$1
  shift
  meson compile -C "build/$name" -j "$(nproc)" "$@"
}

make_gcc() {
  # shellcheck disable=SC2086
  configure gcc $FOR_TESTS -Dcpp_args=$SYMBOLS && compile gcc "$@"
}
# By clang, whose warnings are errors here; libFuzzer's targets are in the same build. Meson itself does not put ccache
# before a compiler that it is told.
make_asan() {
  # shellcheck disable=SC2086
  CC=clang-19 CXX="$(command -v ccache) clang++-19" configure asan $FOR_TESTS -Db_sanitize=address,undefined -Db_lundef=false \
    "-Dcpp_args=$SYMBOLS -fsanitize=fuzzer-no-link -fno-sanitize-recover=all -Wno-deprecated-declarations" &&
    compile asan "$@"
}
# ThreadSanitizer knows no fences; Asio's locks order what it uses them for as well.
make_tsan() {
  # shellcheck disable=SC2086
  configure tsan $FOR_TESTS -Db_sanitize=thread -Db_lundef=false \
    "-Dcpp_args=$SYMBOLS -DBOOST_ASIO_DISABLE_FENCED_BLOCK" && compile tsan "$@"
}

build_gcc() { locked gcc make_gcc "$@"; }
build_asan() { locked asan make_asan "$@"; }
build_tsan() { locked tsan make_tsan "$@"; }

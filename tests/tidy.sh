#!/bin/sh
# SPDX-License-Identifier: MIT
# tidy.sh BUILD [SINCE]: clang-tidy on the sources of a unity build that is configured and used for nothing else; with
# a commit, on those alone that have changed since then, or include a header that has.
#
# A header such as Asio's costs clang-tidy more than a source of ours. So each unit that meson makes of several sources
# gets them put in, in place of their #includes: clang's analyzer walks through the functions of a main file alone.
# With ccache, a unit in which nothing has changed is not looked at again.

build=$1
since=$2

# in_need UNIT: whether it is to be looked at.
in_need() {
  [ "$since" ] || return 0
  for file in $changed; do
    grep -q -F "/$file>" "$1" && return 0
  done
  return 1
}

# The files that have changed since then, and the sources that include a header among that.
if [ "$since" ]; then
  changed=$(git diff --name-only "$since" -- 'src/*.h' 'src/*.cc') || exit 1
  for header in $(echo "$changed" | grep '\.h$'); do
    changed="$changed $(grep -rlF "#include \"${header#src/}\"" src --include=*.cc)"
  done
  changed=$(echo "$changed" | tr ' ' '\n' | grep '\.cc$' | sort -u)
fi

# arguments UNIT: those by which it would be compiled.
arguments() {
  sed -n 's|.*"command": ".*c++ \(.*\) -MD .* -o \([^ ]*\) -c \('"$1"'\)".*|\1 -o \2 -c \3|p' \
    "$build/compile_commands.json"
}

export CCACHE_COMPILERTYPE=clang
export CCACHE_COMPILERCHECK="string:$(cat .clang-tidy tests/tidy_compiler.sh; clang-tidy-19 --version)"
export CCACHE_COMMENTS=1  # because of NOLINT
compiler="$(command -v ccache) $PWD/tests/tidy_compiler.sh"
for unit in $(find "$build" -name '*-unity*.cpp' -size +0); do
  in_need "$unit" || continue
  sed -n 's/^#include<\(.*\)>$/\1/p' "$unit" | while read -r source; do
    [ ! -f "$source" ] || cat "$source" || exit
  done >"$unit.whole" && mv "$unit.whole" "$unit" || exit 1
  arguments "${unit#"$build/"}" | grep . || exit 1
done >"$build/units"
cd "$build" && xargs -r -P "$(nproc)" -L 1 $compiler <units

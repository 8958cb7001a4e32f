#!/bin/sh
# SPDX-License-Identifier: MIT
# tidy.sh BUILD [SINCE]: clang-tidy on the sources of a unity build that is configured and used for nothing else; with
# a commit, on those alone that have changed since then, or include a header that has.
#
# A header such as Asio's costs clang-tidy more than a source of ours. So each unit that meson makes of several sources
# gets them put in, in place of their #includes: clang's analyzer walks through the functions of a main file alone.
# What holds for single files (their #includes and usings) is not looked at here, nor what is generated. Unlike clang,
# clang-tidy shows what libstdc++ itself uses that is deprecated.
#
# Where the analyzer may enter templates, those of fmt and Asio use up its budget for a function before it has come to
# the end of ours: it takes six times as long and finds less.

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

# What has changed since then, and the sources that include a header among that.
if [ "$since" ]; then
  changed=$(git diff --name-only "$since" -- 'src/*.h' 'src/*.cc') || exit 1
  for header in $(echo "$changed" | grep '\.h$'); do
    changed="$changed $(grep -rlF "#include \"${header#src/}\"" src --include=*.cc)"
  done
  changed=$(echo "$changed" | tr ' ' '\n' | grep '\.cc$' | sort -u)
fi

units=
for unit in $(find "$build" -name '*-unity*.cpp' -size +0); do
  in_need "$unit" || continue
  sed -n 's/^#include<\(.*\)>$/\1/p' "$unit" | while read -r source; do
    [ ! -f "$source" ] || cat "$source" || exit
  done >"$unit.whole" && mv "$unit.whole" "$unit" || exit 1
  units="$units $unit"
done
echo "$units" | xargs -r -P "$(nproc)" -n 1 \
  clang-tidy-19 -p "$build" --quiet \
  --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=c++-template-inlining=false \
  --checks="-misc-unused-*-decls,-readability-duplicate-include,-clang-diagnostic-deprecated-declarations"

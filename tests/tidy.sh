#!/bin/sh
# SPDX-License-Identifier: MIT
# tidy.sh BUILD: clang-tidy on the sources of a unity build that is configured and used for nothing else.
#
# A header such as Asio's costs clang-tidy more than a source of ours. So each unit that meson makes of several sources
# gets them put in, in place of their #includes: clang's analyzer walks through the functions of a main file alone.
# What holds for single files (their #includes and usings) is not looked at here, nor what is generated. Unlike clang,
# clang-tidy shows what libstdc++ itself uses that is deprecated.
#
# Where the analyzer may enter templates, those of fmt and Asio use up its budget for a function before it has come to
# the end of ours: it takes six times as long and finds less. What Asio and Beast can have compiled by themselves is
# left out for the same reason.

build=$1
for unit in $(find "$build" -name '*-unity*.cpp'); do
  sed -n 's/^#include<\(.*\)>$/\1/p' "$unit" | while read -r source; do
    [ ! -f "$source" ] || cat "$source" || exit
  done >"$unit.whole" && mv "$unit.whole" "$unit" || exit 1
done
find "$build" -name '*-unity*.cpp' -size +0 | xargs -P "$(nproc)" -n 1 \
  clang-tidy-19 -p "$build" --quiet \
  --extra-arg=-DBOOST_ASIO_SEPARATE_COMPILATION --extra-arg=-DBOOST_BEAST_SEPARATE_COMPILATION \
  --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=c++-template-inlining=false \
  --checks="-misc-unused-*-decls,-readability-duplicate-include,-clang-diagnostic-deprecated-declarations"

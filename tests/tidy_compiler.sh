#!/bin/sh
# SPDX-License-Identifier: MIT
# tidy_compiler.sh ARGUMENT...: a compiler as ccache wants one, but it looks at the source with
# clang-tidy. Its object says no more than its name, so that ccache knows what was looked at without a finding.
#
# Where the analyzer may enter templates, those of fmt and Asio use up its budget for a function before it has come to
# the end of ours: it takes six times as long and finds less. Unlike clang, clang-tidy shows what libstdc++ itself uses
# that is deprecated. A unit of several files does not show what holds for each alone (its #includes and usings). The
# suite files has those checks, and performance-unnecessary-value-param, which takes an eighth of the time here.

for argument; do
  [ "$argument" != -E ] || exec clang++-19 "$@"
done
for argument; do
  shift
  case $argument in
    -o | -c) ;;
    *.o) object=$argument ;;
    *.cpp) source=$argument ;;
    *) set -- "$@" "$argument" ;;
  esac
done
clang-tidy-19 --quiet \
  --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=c++-template-inlining=false \
  --checks="-misc-unused-*-decls,-readability-duplicate-include,-clang-diagnostic-deprecated-declarations,\
-performance-unnecessary-value-param" \
  "$source" -- "$@" && echo "$source" >"$object"

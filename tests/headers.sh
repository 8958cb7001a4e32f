#!/bin/sh
# SPDX-License-Identifier: MIT
# headers.sh SRC COMPILER [ARGUMENT...]: sees that no header under SRC relies on what the includer happened to include
# before it. One that has a source of its name is the first that this includes, so it compiles alone if the source does
# (the suite files compiles each alone); the others are compiled here. Ends with status 1 if one does
# not.

src=$1
shift
status=0
for header in $(cd "$src" && find . -name '*.h' | sed 's|^\./||' | sort); do
  source=$src/${header%.h}.cc
  if [ -f "$source" ]; then
    [ "$(grep -m 1 '^#include' "$source")" = "#include \"$header\"" ] && continue
    echo "$source does not include $header first"
    status=1
  else
    printf '#include "%s"\n' "$header" | "$@" -I "$src" -x c++ -fsyntax-only - && continue
    echo "$header does not compile alone"
    status=1
  fi
done
exit $status

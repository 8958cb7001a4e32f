#!/bin/sh
# SPDX-License-Identifier: MIT
# headers.sh SRC COMPILER [ARGUMENT...]: compiles each header under SRC alone, so that none relies on what the includer
# happened to include before it. Ends with status 1 if one does.

src=$1
shift
status=0
for header in $(cd "$src" && find . -name '*.h' | sort); do
  printf '#include "%s"\n' "${header#./}" | "$@" -I "$src" -x c++ -fsyntax-only - || {
    echo "$header does not compile alone"
    status=1
  }
done
exit $status

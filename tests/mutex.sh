#!/bin/sh
# SPDX-License-Identifier: MIT
# Sees that clang checks what src/base/mutex.h annotates: it refuses a read of a guarded field without the mutex, and
# accepts the same read with it. Macros that had become empty would let every build pass. Ends with status 1 if clang
# does otherwise.

cd "$(dirname "$0")/.." || exit 1

# compile STATEMENT: a read of a guarded field after STATEMENT; prints what clang says of it.
compile() {
  clang++-19 -std=c++20 -fsyntax-only -Wthread-safety -Werror -Isrc -x c++ - 2>&1 <<END
#include "base/mutex.h"
class Number {
 public:
  int value() {
    $1
    return value_;
  }
 private:
  qatime::Mutex mutex_;
  int value_ QATIME_GUARDED_BY(mutex_) = 0;
};
END
}

status=0
if ! said=$(compile 'const qatime::MutexLock lock{mutex_};'); then
  printf 'mutex: clang refuses a read with the mutex:\n%s\n' "$said"
  status=1
fi
if said=$(compile ''); then
  echo 'mutex: clang accepts a read without the mutex'
  status=1
elif ! echo "$said" | grep -q 'error: reading variable .value_. requires holding mutex'; then
  printf 'mutex: clang refuses a read without the mutex for another reason:\n%s\n' "$said"
  status=1
fi
exit $status

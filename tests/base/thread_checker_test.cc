// SPDX-License-Identifier: MIT
#include "base/thread_checker.h"

#include "catch.h"

#ifndef NDEBUG

namespace qatime::thread_checker_test {

bool is_current_elsewhere(const ThreadChecker& checker) {
  bool is_current = false;
  std::thread{[&] { is_current = checker.is_current(); }}.join();
  return is_current;
}

TEST_CASE("A checker belongs to the first thread that asks it, and tells others apart") {
  const ThreadChecker checker;
  CHECK(checker.is_current());
  CHECK(!is_current_elsewhere(checker));
  CHECK(checker.is_current());
}

TEST_CASE("A checker does not belong to the thread that made it") {
  const ThreadChecker checker;
  CHECK(is_current_elsewhere(checker));
  CHECK(!checker.is_current());
}

TEST_CASE("A detached checker belongs to the next thread that asks it") {
  ThreadChecker checker;
  CHECK(checker.is_current());
  checker.detach();
  CHECK(is_current_elsewhere(checker));
  CHECK(!checker.is_current());
}

}  // namespace qatime::thread_checker_test

#endif

// SPDX-License-Identifier: MIT
#include "apply/guard_support.h"

#include "catch.h"

namespace qatime::apply::guard_support_test {
namespace {

TEST_CASE("SeveralDoubtsInARowSettleItOnce", "[apply]") {
  GuardSupport guards;
  CHECK_FALSE(guards.doubted());
  CHECK_FALSE(guards.doubted());
  guards.honoured();
  CHECK_FALSE(guards.doubted());
  CHECK_FALSE(guards.doubted());
  CHECK(guards.usable());
  CHECK(guards.doubted());
  CHECK_FALSE(guards.usable());
  guards.honoured();
  CHECK_FALSE(guards.doubted());
  CHECK_FALSE(guards.usable());
}

}  // namespace
}  // namespace qatime::apply::guard_support_test

// SPDX-License-Identifier: MIT
#include "apply/guards.h"

#include "catch.h"

namespace qatime::apply::guards_test {
namespace {

TEST_CASE("SeveralDoubtsInARowSettleItOnce", "[apply]") {
  Guards guards;
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
}  // namespace qatime::apply::guards_test

// SPDX-License-Identifier: MIT
#include "atime/guard_support.h"

#include "catch.h"

namespace qatime::atime::guard_support_test {
namespace {

constexpr Clock::Instant kNow{std::chrono::hours{1}};

TEST_CASE("SeveralDoubtsInARowSettleItOnce") {
  GuardSupport guards;
  CHECK_FALSE(guards.doubted(kNow));
  CHECK_FALSE(guards.doubted(kNow));
  guards.honoured();
  CHECK_FALSE(guards.doubted(kNow));
  CHECK_FALSE(guards.doubted(kNow));
  CHECK(guards.usable(kNow));
  CHECK(guards.doubted(kNow));
  CHECK_FALSE(guards.usable(kNow));
  CHECK_FALSE(guards.doubted(kNow));
}

TEST_CASE("GuardsAreTriedAgainAfterAPause") {
  GuardSupport guards;
  for (int i = 0; i < 3; ++i) (void)guards.doubted(kNow);
  const auto later = kNow + GuardSupport::kPause;
  CHECK_FALSE(guards.usable(later - std::chrono::nanoseconds{1}));
  REQUIRE(guards.usable(later));

  SECTION("one more doubt is enough, and no news") {
    CHECK_FALSE(guards.doubted(later));
    CHECK_FALSE(guards.usable(later));
    CHECK(guards.usable(later + GuardSupport::kPause));
  }
  SECTION("a success makes them usable") {
    guards.honoured();
    CHECK_FALSE(guards.doubted(later));
    CHECK(guards.usable(later));
  }
}

TEST_CASE("GuardsAreExactOnceThatIsProven") {
  GuardSupport guards;
  CHECK_FALSE(guards.is_exact(kNow));
  REQUIRE(guards.take_proof());
  CHECK_FALSE(guards.take_proof());
  guards.not_proven();
  REQUIRE(guards.take_proof());
  guards.proven(true);
  CHECK(guards.is_exact(kNow));
  CHECK_FALSE(guards.take_proof());
  for (int i = 0; i < 3; ++i) (void)guards.doubted(kNow);
  CHECK_FALSE(guards.is_exact(kNow));
}

}  // namespace
}  // namespace qatime::atime::guard_support_test

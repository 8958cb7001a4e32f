// SPDX-License-Identifier: MIT
#include "backlog/deferred_settles.h"

#include "catch.h"

namespace qatime::backlog::deferred_settles_test {

TEST_CASE("tickets are taken while somebody is there to settle them") {
  DeferredSettles settled;
  metrics::Gauge pending;
  CHECK_FALSE(settled.leave({1, 1}, pending));
  settled.open();
  CHECK(settled.leave({2, 1}, pending));
  CHECK(settled.leave({3, 1}, pending));
  CHECK(settled.close() == std::vector<Ticket>{{2, 1}, {3, 1}});
  CHECK_FALSE(settled.leave({4, 1}, pending));
  CHECK(pending.value() == -2);
  CHECK(settled.close().empty());
}

TEST_CASE("tickets are taken up to a bound") {
  DeferredSettles settled;
  metrics::Gauge pending;
  settled.open();
  std::uint32_t count = 0;
  while (settled.leave({count, 1}, pending)) REQUIRE(++count < 100'000);
  CHECK(settled.close().size() == count);
}

}  // namespace qatime::backlog::deferred_settles_test

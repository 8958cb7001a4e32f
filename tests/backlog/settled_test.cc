// SPDX-License-Identifier: MIT
#include "backlog/settled.h"

#include "catch.h"

using qatime::backlog::Settled;
using qatime::backlog::Ticket;

TEST_CASE("tickets are taken while somebody is there to settle them") {
  Settled settled;
  CHECK_FALSE(settled.leave({1, 1}));
  settled.open();
  CHECK(settled.leave({2, 1}));
  CHECK(settled.leave({3, 1}));
  CHECK(settled.close() == std::vector<Ticket>{{2, 1}, {3, 1}});
  CHECK_FALSE(settled.leave({4, 1}));
  CHECK(settled.close().empty());
}

TEST_CASE("tickets are taken up to a bound") {
  Settled settled;
  settled.open();
  std::uint32_t count = 0;
  while (settled.leave({count, 1})) REQUIRE(++count < 100'000);
  CHECK(settled.close().size() == count);
}

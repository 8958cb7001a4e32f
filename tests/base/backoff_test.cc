// SPDX-License-Identifier: MIT
#include "base/backoff.h"

#include "catch.h"

namespace qatime::backoff_test {

using namespace std::chrono_literals;

TEST_CASE("The wait doubles with each failure up to the cap, and has jitter but never nothing") {
  Backoff backoff{100ms, 30s, 1};
  for (unsigned attempt : {0U, 1U, 5U, 12U, 1'000'000U}) {
    CAPTURE(attempt);
    const auto whole = attempt > 8 ? 30'000ms : 100ms * (1 << attempt);
    auto least = whole, most = 0ms;
    for (int i = 0; i < 200; ++i) {
      const auto delay = backoff.delay(attempt);
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    CHECK(least >= whole / 4);
    CHECK(most <= whole);
    CHECK(least < whole / 2);
    CHECK(most > whole * 3 / 4);
  }
}

}  // namespace qatime::backoff_test

// SPDX-License-Identifier: MIT
#include "app/watchdog.h"

#include <functional>
#include <utility>
#include <vector>

#include "catch.h"

namespace qatime::watchdog_test {
namespace {

// A loop that turns when it is told to.
class FakeLoop {
 public:
  [[nodiscard]] Watchdog::Post post() {
    return [this](std::function<void()> function) { posted.push_back(std::move(function)); };
  }
  void turn() {
    for (const auto& function : std::exchange(posted, {})) function();
  }

  std::vector<std::function<void()>> posted;
};

struct TwoLoops {
  FakeLoop intake;
  FakeLoop apply;
  Watchdog watchdog;

  TwoLoops() {
    watchdog.watch(intake.post());
    watchdog.watch(apply.post());
  }
};

TEST_CASE_METHOD(TwoLoops, "Loops that turn between two calls are alive") {
  for (int i = 0; i < 3; ++i) {
    CHECK(watchdog.all_turn());
    intake.turn();
    apply.turn();
  }
}

TEST_CASE_METHOD(TwoLoops, "One loop that hangs is enough") {
  CHECK(watchdog.all_turn());
  SECTION("the first") { apply.turn(); }
  SECTION("the last") { intake.turn(); }
  SECTION("both") {}
  CHECK_FALSE(watchdog.all_turn());
  CHECK_FALSE(watchdog.all_turn());
}

TEST_CASE_METHOD(TwoLoops, "A loop that was only slow is alive again, and was asked once") {
  CHECK(watchdog.all_turn());
  intake.turn();
  CHECK_FALSE(watchdog.all_turn());
  CHECK_FALSE(watchdog.all_turn());
  CHECK(apply.posted.size() == 1);
  apply.turn();
  CHECK(watchdog.all_turn());
  CHECK(apply.posted.size() == 1);
  CHECK_FALSE(watchdog.all_turn());
}

TEST_CASE("Nothing to watch is alive") {
  Watchdog watchdog;
  CHECK(watchdog.all_turn());
  CHECK(watchdog.all_turn());
}

}  // namespace
}  // namespace qatime::watchdog_test

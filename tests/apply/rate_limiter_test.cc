// SPDX-License-Identifier: MIT
#include "apply/rate_limiter.h"

#include <algorithm>
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::rate_limiter_test {
namespace {

using namespace std::chrono_literals;

// How many go in so long, if it is looked at every `step`.
std::size_t gone(RateLimiter& pace, ManualClock& clock, Clock::Duration duration, Clock::Duration step) {
  std::size_t count = 0;
  for (const auto end = clock.now() + duration; clock.now() < end; clock.advance(step)) {
    for (; pace.next() <= clock.now(); ++count) pace.take(clock.now());
  }
  return count;
}

TEST_CASE("NoRateIsNoLimit", "[apply]") {
  RateLimiter pace{0};
  CHECK_FALSE(pace.limits());
  for (int i = 0; i < 1000; ++i) pace.take(Clock::Instant{1h});
  CHECK(pace.next() <= Clock::Instant{1h});
}

TEST_CASE("TheRateIsKeptHoweverOftenTheClockIsLookedAt", "[apply]") {
  const std::size_t rate = GENERATE(50U, 333U, 5'000U, 70'000U);
  const auto step = GENERATE(Clock::Duration{1ms}, Clock::Duration{7ms}, Clock::Duration{50ms});
  CAPTURE(rate, step.count());
  ManualClock clock;
  RateLimiter pace{rate};
  const auto count = static_cast<double>(gone(pace, clock, 10s, step));
  CHECK(count == Approx(10.0 * static_cast<double>(rate)).epsilon(0.02));
}

TEST_CASE("NoMoreThanATenthOfASecondsWorthGoesAtOnce", "[apply]") {
  ManualClock clock;
  RateLimiter pace{1000};
  CHECK(gone(pace, clock, 1ns, 1ns) == 100);
  clock.advance(1h);
  CHECK(gone(pace, clock, 1ns, 1ns) == 100);
  clock.advance(10ms);
  CHECK(gone(pace, clock, 1ns, 1ns) == 10);
}

TEST_CASE("ASlowRateLetsOneGoAtATime", "[apply]") {
  ManualClock clock;
  RateLimiter pace{2};
  CHECK(gone(pace, clock, 1ns, 1ns) == 1);
  CHECK(pace.next() - clock.now() == 500ms - 1ns);
}

// --- through the engine ---

NfsConfig limited(std::size_t rate) {
  NfsConfig config;
  config.max_rate = rate;
  return config;
}

// In many directories, so that none is worth scan.
std::string path_of(int file) { return "/d" + std::to_string(file / 4) + "/" + std::to_string(file); }

void make_files(Stage& stage, int count) {
  for (int i = 0; i < count; ++i) {
    stage.client.make_file(path_of(i));
    stage.access(path_of(i), 5);
  }
}

TEST_CASE("UpdatesKeepTheRateAndTheEngineAsksToBeWoken", "[apply]") {
  const std::size_t rate = GENERATE(20U, 300U);
  Stage stage{limited(rate)};
  make_files(stage, 4000);
  const auto end = stage.clock.now() + 10s;
  while (stage.clock.now() < end) {
    stage.run();
    const auto next = stage.engine.next_deadline();
    REQUIRE(next);
    REQUIRE(*next > stage.clock.now());
    stage.clock.advance(std::min(*next, end) - stage.clock.now());
  }
  CHECK(static_cast<double>(stage.applied()) == Approx(10.0 * static_cast<double>(rate)).epsilon(0.02));
  CHECK(stage.adds_up());
}

TEST_CASE("UpdatesThatAreNotNeededDoNotCount", "[apply]") {
  Stage stage{limited(10)};
  make_files(stage, 400);
  for (int i = 0; i < 400; ++i) {
    stage.client.set_atime_of(path_of(i), at(9));
  }
  stage.run();
  CHECK(stage.unchanged() == 400);
}

TEST_CASE("WhatTheRateHoldsBackIsLittle", "[apply]") {
  Stage stage{limited(10)};
  make_files(stage, 4000);
  stage.run();
  CHECK(stage.applied() == 1);
  CHECK(stage.engine.work() <= 32);
}

TEST_CASE("EveryAttemptCounts", "[apply]") {
  Stage stage{limited(10)};
  stage.client.make_file("/f");
  stage.client.guards_never_match = true;
  stage.access("/f", 5);
  stage.run_for(200ms);
  CHECK(stage.client.count(Procedure::setattr) == 3);
  CHECK(stage.applied() == 0);
  stage.run_for(1s);
  CHECK(stage.client.count(Procedure::setattr) == 4);
  CHECK(stage.applied() == 1);
}

TEST_CASE("AnotherRateAndPolicyHoldForWhatWaits", "[apply]") {
  Stage stage{limited(1)};
  make_files(stage, 40);
  stage.run();
  CHECK(stage.applied() == 1);
  PolicyConfig coarse;
  coarse.granularity = 1h;
  stage.engine.reconfigure(coarse, 0);
  stage.run();
  CHECK(stage.applied() == 40);
  stage.access(path_of(0), 6);
  stage.run();
  CHECK(stage.unchanged() == 1);
  CHECK(stage.adds_up());
}

TEST_CASE("ADryRunIsNotPaced", "[apply]") {
  Stage stage{limited(10), true};
  make_files(stage, 400);
  stage.run();
  CHECK(stage.applied() == 400);
}

TEST_CASE("TheRateHoldsBackWhatWaitsWhileServersAreAway", "[apply]") {
  Stage stage{limited(10)};
  make_files(stage, 40);
  stage.run();
  stage.client.disconnect();
  stage.run_for(5s);
  CHECK(stage.applied() == 1);
  stage.client.connected = true;
  stage.run_for(10s);
  CHECK(stage.applied() == 40);
  CHECK(stage.adds_up());
}

TEST_CASE("AnotherRateHoldsAtOnce", "[apply]") {
  ManualClock clock;
  RateLimiter pace{1};
  pace.take(clock.now());
  pace.take(clock.now());
  CHECK(pace.next() > clock.now() + 500ms);
  pace.change(1'000, clock.now());
  CHECK(pace.next() <= clock.now());
  CHECK(static_cast<double>(gone(pace, clock, 10s, 10ms)) == Approx(10'000).epsilon(0.02));
  pace.change(0, clock.now());
  CHECK_FALSE(pace.limits());
  pace.change(1, clock.now());
  CHECK(gone(pace, clock, 10s, 10ms) <= 11);
}

}  // namespace
}  // namespace qatime::apply::rate_limiter_test

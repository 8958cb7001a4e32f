// SPDX-License-Identifier: MIT
#include "apply/atime_policy.h"

#include <array>
#include <chrono>
#include <cstdint>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::atime_policy_test {
namespace {

using namespace std::chrono_literals;
using Mode = PolicyConfig::Mode;

constexpr Time kBegin{};                                                 // of nfstime3
constexpr Time kEnd{std::chrono::seconds{std::int64_t{1} << 32} - 1ns};  // its last moment

PolicyConfig policy(Mode mode, std::chrono::nanoseconds threshold = 24h, std::chrono::nanoseconds granularity = 0ns) {
  PolicyConfig config;
  config.mode = mode;
  config.threshold = threshold;
  config.granularity = granularity;
  return config;
}

bool moves(const PolicyConfig& config, Time atime, Time mtime, Time access) {
  nfs::Attributes found;
  found.atime = atime;
  found.mtime = mtime;
  found.ctime = kEnd;  // which must not matter
  return AtimePolicy{config}.moves(found, access);
}

TEST_CASE("StrictTakesEveryNewerTime", "[apply]") {
  const auto strict = policy(Mode::strict);
  for (const Time mtime : {kBegin, at(0), kEnd}) {
    CHECK(moves(strict, at(5), mtime, at(5) + 1ns));
    CHECK_FALSE(moves(strict, at(5), mtime, at(5)));
    CHECK_FALSE(moves(strict, at(5), mtime, at(5) - 1ns));
  }
  CHECK(moves(strict, kBegin, kBegin, kEnd));
  CHECK(moves(strict, kEnd - 1ns, kBegin, kEnd));
  CHECK_FALSE(moves(strict, kEnd, kBegin, kBegin));
}

TEST_CASE("RelatimeTakesTheFirstAccessAfterAChangeAndOneAThreshold", "[apply]") {
  const auto relatime = policy(Mode::relatime, 24h);
  CHECK(moves(relatime, at(5), at(6), at(7)));
  CHECK(moves(relatime, at(5), at(5), at(7)));
  CHECK_FALSE(moves(relatime, at(5), at(5) - 1ns, at(7)));
  CHECK(moves(relatime, at(5), at(0), at(5) + 24h));
  CHECK_FALSE(moves(relatime, at(5), at(0), at(5) + 24h - 1ns));
}

TEST_CASE("RelatimeNeverGoesBackwards", "[apply]") {
  const auto relatime = policy(Mode::relatime, 0s);
  CHECK_FALSE(moves(relatime, at(5), at(9), at(5)));
  CHECK_FALSE(moves(relatime, at(5), at(9), at(4)));
  CHECK_FALSE(moves(relatime, kEnd, kEnd, kBegin));
  CHECK(moves(relatime, at(5), at(0), at(5) + 1ns));
}

TEST_CASE("AThresholdBeyondAllTimesNeverComes", "[apply]") {
  const auto relatime = policy(Mode::relatime, std::chrono::nanoseconds::max());
  CHECK_FALSE(moves(relatime, kBegin + 1ns, kBegin, kEnd));
  CHECK(moves(relatime, kBegin, kBegin, kEnd));
}

TEST_CASE("AStepSmallerThanTheGranularityIsSkipped", "[apply]") {
  for (const Mode mode : {Mode::strict, Mode::relatime}) {
    const auto coarse = policy(mode, 0s, 1min);
    CHECK(moves(coarse, at(0), at(5), at(60)));
    CHECK_FALSE(moves(coarse, at(0), at(5), at(60) - 1ns));
    CHECK_FALSE(moves(coarse, at(0), at(5), at(-60)));
  }
}

TEST_CASE("WhatTheModeSkipsIsUnchanged", "[apply]") {
  Stage stage{policy(Mode::relatime, 24h)};
  stage.client.make_file("/f");
  stage.client.set_atime_of("/f", at(10));  // its mtime is in 1970
  stage.access("/f", 20);
  stage.run();
  CHECK(stage.client.atime("/f") == at(10));
  CHECK(stage.client.count(Procedure::setattr) == 0);
  CHECK(stage.unchanged() == 1);
  stage.access("/f", 10 + 24 * 3600);
  stage.run();
  CHECK(stage.client.atime("/f") == at(10 + 24 * 3600));
  CHECK(stage.applied() == 1);
  CHECK(stage.adds_up());
}

TEST_CASE("AnAtimeInTheFutureIsCountedApart", "[apply]") {
  const Time odd = GENERATE(now() + 1h, Time{std::chrono::seconds{(std::int64_t{1} << 32) - 1}});
  PolicyConfig config = policy(Mode::strict, 0s);
  SECTION("and stays") {
    Stage stage{config};
    stage.client.make_file("/f");
    stage.client.set_atime_of("/f", odd);
    stage.access("/f", 20);
    stage.run();
    CHECK(stage.client.atime("/f") == odd);
    CHECK(stage.unchanged() == 1);
    CHECK(stage.sum("qatime_ahead_total") == 1);
    CHECK(stage.adds_up());
  }
  SECTION("or is set back") {
    config.repair_future = true;
    Stage stage{config};
    stage.client.make_file("/f");
    stage.client.set_atime_of("/f", odd);
    stage.access("/f", 20);
    stage.run();
    CHECK(stage.client.atime("/f") == at(20));
    CHECK(stage.applied() == 1);
    CHECK(stage.sum("qatime_ahead_total") == 0);
  }
}

TEST_CASE("AnAtimeThatIsAheadByLessIsJustNewer", "[apply]") {
  PolicyConfig config = policy(Mode::strict, 0s);
  config.repair_future = true;
  Stage stage{config};
  stage.client.make_file("/f");
  const Time soon = now() + 1min;
  stage.client.set_atime_of("/f", soon);
  stage.access("/f", 20);
  stage.run();
  CHECK(stage.client.atime("/f") == soon);
  CHECK(stage.unchanged() == 1);
  CHECK(stage.sum("qatime_ahead_total") == 0);
}

TEST_CASE("TheGranularityCountsFromWhatTheServerHas", "[apply]") {
  Stage stage{policy(Mode::strict, 0s, 10s)};
  stage.client.make_file("/f");
  for (int second = 1; second <= 35; ++second) {
    stage.access("/f", second);
    stage.run();
  }
  CHECK(stage.client.atime("/f") == at(31));
  CHECK(stage.applied() == 4);  // at 1, 11, 21 and 31
  CHECK(stage.unchanged() == 31);
  CHECK(stage.adds_up());
}

}  // namespace
}  // namespace qatime::apply::atime_policy_test

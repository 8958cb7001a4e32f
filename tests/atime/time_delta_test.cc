// SPDX-License-Identifier: MIT
#include "atime/time_delta.h"

#include <array>
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::atime::time_delta_test {
namespace {

using namespace std::chrono_literals;
using apply::at;
using apply::Procedure;
using apply::Stage;
using std::chrono::nanoseconds;
using Observation = TimeDelta::Observation;

TEST_CASE("AServerThatKeepsNanosecondsIsExpected", "[apply]") {
  TimeDelta time_delta;
  CHECK(time_delta.observe(at(1) + 123456789ns, at(1) + 123456789ns) == Observation::as_expected);
  CHECK(time_delta.kept(at(1) + 123456789ns) == at(1) + 123456789ns);
  CHECK(time_delta.kept(Time{}) == Time{});
}

TEST_CASE("EachGridIsRecognisedOnce", "[apply]") {
  const auto [unit, name] = GENERATE(table<nanoseconds, std::string>(
      {{100ns, "100 ns"}, {1us, "1 us"}, {1ms, "1 ms"}, {10ms, "10 ms"}, {1s, "1 s"}, {2s, "2 s"}}));
  const Time asked = at(1) + 999'999'999ns;  // an odd second
  const Time reported = asked - asked.time_since_epoch() % unit;
  TimeDelta time_delta;
  CHECK(time_delta.observe(asked, reported) == Observation::rounded);
  CHECK(time_delta.name() == name);
  CHECK(time_delta.kept(asked) == reported);
  CHECK(time_delta.observe(asked, reported) == Observation::as_expected);
}

TEST_CASE("ACoarserGridIsSaidToo", "[apply]") {
  TimeDelta time_delta;
  CHECK(time_delta.observe(at(1) + 500us, at(1)) == Observation::rounded);
  CHECK(time_delta.name() == "1 ms");
  CHECK(time_delta.observe(at(1) + 700ms, at(1)) == Observation::rounded);
  CHECK(time_delta.name() == "1 s");
}

TEST_CASE("AFinerTimeTakesBackWhatWasLearned", "[apply]") {
  TimeDelta time_delta;
  CHECK(time_delta.observe(at(1) + 700ms, at(1)) == Observation::rounded);
  CHECK(time_delta.observe(at(2), at(2)) == Observation::as_expected);  // tells nothing
  CHECK(time_delta.kept(at(3) + 700ms) == at(3));
  CHECK(time_delta.observe(at(2) + 700ms, at(2) + 700ms) == Observation::as_expected);
  CHECK(time_delta.kept(at(3) + 700ms) == at(3) + 700ms);
  CHECK(time_delta.observe(at(4) + 700ms, at(4)) == Observation::as_expected);  // and again, but it was said
  CHECK(time_delta.kept(at(3) + 700ms) == at(3));
}

TEST_CASE("AnotherTimeIsNoRounding", "[apply]") {
  TimeDelta time_delta;
  for (const Time reported : {at(0), at(3), at(2) + 1ns, Time{}}) {
    CHECK(time_delta.observe(at(1) + 300ms, reported + 300ms) == Observation::different);
  }
  CHECK(time_delta.kept(at(1) + 300ms) == at(1) + 300ms);
}

// --- through the engine ---

TEST_CASE("ATimeThatTheServerRoundedIsNotSetAgain", "[apply]") {
  Stage stage;
  stage.client.unit = 1s;
  stage.client.make_file("/f");
  const auto access = [&](Time time) {
    stage.backlog.add(std::array{Event{Access{"/f", time}}});
    ++stage.accesses;
    stage.run();
  };
  access(at(10) + 700ms);
  CHECK(stage.client.atime("/f") == at(10));
  for (int i = 0; i < 5; ++i) access(at(10) + 700ms);
  access(at(10) + 999ms);
  CHECK(stage.client.count(Procedure::setattr) == 1);
  CHECK(stage.applied() == 1);
  CHECK(stage.unchanged() == 6);
  access(at(11));
  CHECK(stage.client.atime("/f") == at(11));
  CHECK(stage.applied() == 2);
  CHECK(stage.adds_up());
}

TEST_CASE("ATimeThatTheServerIgnoresIsCountedAsFailed", "[apply]") {
  Stage stage;
  stage.client.make_file("/link");
  stage.client.make_file("/file");
  stage.client.ignores = "/link";
  stage.client.set_atime_of("/link", at(1));
  stage.access("/link", 5);
  stage.access("/file", 5);
  stage.run();
  CHECK(stage.failed("ignored") == 1);
  CHECK(stage.applied() == 1);
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.client.count(Procedure::setattr, "/link") == 1);
  CHECK(stage.client.atime("/file") == at(5));
  CHECK(stage.adds_up());
}

TEST_CASE("WithoutAttributesInTheReplyTheServerIsBelieved", "[apply]") {
  Stage stage;
  stage.client.attributes_in_setattr = false;
  stage.client.ignores = "/link";
  stage.client.make_file("/link");
  stage.access("/link", 5);
  stage.run();
  CHECK(stage.applied() == 1);
  CHECK(stage.adds_up());
}

TEST_CASE("ATimeThatSomebodyElseSetRightAfterwardsIsOurs", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.client.set_atime_of("/f", at(1));
  stage.client.overwrites = at(3);
  stage.access("/f", 5);
  stage.run();
  CHECK(stage.applied() == 1);
  CHECK(stage.failed() == 0);
}

}  // namespace
}  // namespace qatime::atime::time_delta_test

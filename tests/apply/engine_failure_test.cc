// SPDX-License-Identifier: MIT
// What becomes of entries that fail.
#include <cstddef>
#include <optional>
#include <random>
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::engine_failure_test {
namespace {

using nfs::Status;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Answers `procedure` with `status` while `times` lasts.
FakeClient::Script answer(Procedure procedure, Status status, int times = 1'000'000'000) {
  return [=](const FakeClient::Request& request) mutable -> std::optional<Status> {
    if (request.procedure != procedure || times == 0) return {};
    --times;
    return status;
  };
}

// The backlog lets a bounded number wait again at a time; those of an export that gets no work come first here.
TEST_CASE("ARetryBehindManyOthersThatAreDueIsTakenAtOnce", "[apply]") {
  constexpr int kMany = 20'000;
  Stage stage{{"/a", "/b"}};
  stage.client.script = answer(Procedure::lookup, Status::io);
  for (int i = 0; i < kMany; ++i) stage.access("/a/" + std::to_string(i), 5);
  stage.run();
  stage.client.mounts[0] = Status::acces;
  stage.clock.advance(std::chrono::milliseconds{49});  // before the first of them is due, and a third before /b/f
  stage.client.make_file("/b/f");
  stage.access("/b/f", 5);
  stage.run();
  stage.client.script = {};
  stage.clock.advance(minutes{1});
  int pumps = 0;
  for (; stage.client.atime("/b/f") != at(5); ++pumps) {
    if (pumps > 0) REQUIRE(stage.engine.next_deadline() == stage.clock.now());
    stage.run();
  }
  CHECK(pumps > 1);
}

TEST_CASE("AFileThatIsGoneFailsAtTheSecondLook", "[apply]") {
  Stage stage;
  stage.client.make_directory("/d");
  stage.access("/gone", 5);
  stage.access("/d/gone", 5);
  stage.run();
  CHECK(stage.failed() == 0);
  stage.run_for(seconds{2});
  CHECK(stage.failed("noent") == 2);
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ARenameThatIsHeardOfAfterTheAccessWasTriedIsFollowed", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/new");
  stage.access("/d/old", 5);
  stage.run();
  stage.backlog.add(std::array{Event{Move{"/d/old", "/d/new", at(6)}}});
  stage.run_for(seconds{2});
  CHECK(stage.client.atime("/d/new") == at(5));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ANewerAccessToAGoneNameGetsASecondLookOfItsOwn", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/new");
  stage.access("/d/old", 5);
  stage.run_for(std::chrono::milliseconds{1800});
  stage.access("/d/old", 6);
  stage.run_for(std::chrono::milliseconds{400});
  CHECK(stage.failed() == 0);
  stage.backlog.add(std::array{Event{Move{"/d/old", "/d/new", at(7)}}});
  stage.run_for(seconds{2});
  CHECK(stage.client.atime("/d/new") == at(6));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ANameThatIsGoneAgainAfterAnotherFailureGetsASecondLookAgain", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.access("/d/f", 5);
  stage.client.rename("/d", "/e");
  stage.run();  // not there
  stage.backlog.add(std::array{Event{Move{"/d", "/e", at(6)}}});
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    return request.path == "/e/f" ? std::optional{Status::jukebox} : std::nullopt;
  };
  stage.run_for(std::chrono::milliseconds{2100});
  const auto looks = stage.client.count(Procedure::lookup, "/e/f");
  REQUIRE(looks > 0);
  stage.client.script = {};
  stage.client.rename("/e/f", "/e/g");
  stage.run_for(std::chrono::seconds{1});
  REQUIRE(stage.client.count(Procedure::lookup, "/e/f") == looks + 1);
  stage.backlog.add(std::array{Event{Move{"/e/f", "/e/g", at(7)}}});
  stage.run_for(std::chrono::seconds{5});
  CHECK(stage.client.atime("/e/g") == at(5));
  CHECK(stage.failed() == 0);
}

TEST_CASE("ARemovalThatIsHeardOfAfterTheAccessWasTriedIsNoFailure", "[apply]") {
  Stage stage;
  stage.client.make_directory("/d");
  stage.access("/d/gone", 5);
  stage.run();
  stage.removed("/d/gone", 6);
  stage.run_for(seconds{2});
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AFileAsADirectoryFailsAtOnce", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f/below", 5);
  stage.access("/f/far/below", 5);
  stage.run();
  CHECK(stage.failed("notdir") == 2);
}

TEST_CASE("FinalStatusesFailAtOnce", "[apply]") {
  const auto status = GENERATE(Status::notdir, Status::nametoolong, Status::inval);
  Stage stage;
  stage.client.make_file("/d/f");
  stage.client.script = answer(GENERATE(Procedure::lookup, Procedure::setattr), status);
  stage.access("/d/f", 5);
  stage.run();
  CHECK(stage.failed(nfs::name(status)) == 1);
  CHECK(stage.engine.work() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AMinuteOfJukeboxIsWaitedOut", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.client.script = answer(GENERATE(Procedure::lookup, Procedure::setattr), Status::jukebox);
  stage.access("/d/f", 5);
  stage.run_for(minutes{1});
  const auto tried = stage.client.requests.size();
  CHECK(tried > 4);
  CHECK(tried < 60);
  stage.client.script = {};
  stage.run_for(minutes{1});
  CHECK(stage.applied() == 1);
  CHECK(stage.adds_up());
}

TEST_CASE("AWaitForTheServerIsNeverGivenUp", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.client.script = answer(Procedure::setattr, GENERATE(Status::jukebox, Status::timeout, Status::lost));
  stage.access("/f", 5);
  for (int i = 0; i < 60; ++i) {
    stage.clock.advance(hours{1});
    stage.run();
  }
  CHECK(stage.failed() == 0);
  stage.client.script = {};
  stage.clock.advance(hours{1});
  stage.run();
  CHECK(stage.applied() == 1);
}

TEST_CASE("WhatMayPassIsRetriedForADay", "[apply]") {
  const auto status =
      GENERATE(Status::serverfault, Status::io, Status::nospc, Status::dquot, Status::nxio, Status::garbage);
  Stage stage;
  stage.client.make_file("/f");
  stage.client.script = answer(Procedure::setattr, status);
  stage.access("/f", 5);
  stage.run();
  for (int i = 0; i < 23; ++i) {
    stage.clock.advance(hours{1});
    stage.run();
  }
  CHECK(stage.failed() == 0);
  stage.clock.advance(hours{1});
  stage.run();
  CHECK(stage.failed(nfs::name(status)) == 1);
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("TheDayBeginsAnewAfterTheServerWasAway", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.client.script = answer(Procedure::setattr, Status::io, 1);
  stage.access("/f", 5);
  stage.run();
  stage.client.script = answer(Procedure::setattr, Status::timeout, 1);
  stage.clock.advance(hours{1});
  stage.run();
  stage.client.script = answer(Procedure::setattr, Status::io, 1);
  stage.clock.advance(hours{30});
  stage.run();
  CHECK(stage.failed() == 0);
  stage.clock.advance(hours{1});
  stage.run();
  CHECK(stage.applied() == 1);
}

TEST_CASE("AWaitingRetryHoldsNobodyUp", "[apply]") {
  Stage stage;
  stage.client.limit = 2;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.path.starts_with("/d/sick")) return Status::jukebox;
    return {};
  };
  for (int i = 0; i < 100; ++i) {
    stage.client.make_file("/d/sick" + std::to_string(i));
    stage.client.make_file("/d/sound" + std::to_string(i));
    stage.access("/d/sick" + std::to_string(i), 5);
    stage.access("/d/sound" + std::to_string(i), 5);
  }
  stage.run();
  CHECK(stage.applied() == 100);
  CHECK(stage.engine.work() == 0);
  const auto deadline = stage.engine.next_deadline();
  CHECK(deadline.has_value());
  CHECK(deadline > stage.clock.now());
}

TEST_CASE("HandlesThatDiedAreResolvedAgain", "[apply]") {
  Stage stage;
  stage.client.make_file("/a/b/c/d/f");
  stage.access("/a/b/c/d/f", 5);
  stage.run();
  stage.client.forget_handles();
  stage.access("/a/b/c/d/f", 6);
  stage.run();
  CHECK(stage.client.atime("/a/b/c/d/f") == at(6));
  CHECK(stage.applied() == 2);
  CHECK(stage.client.count(Procedure::lookup, "/a/b/c/d") == 2);
}

TEST_CASE("AHandleThatDiesBetweenLookupAndSetattrIsResolvedAgain", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.client.script = answer(Procedure::setattr, GENERATE(Status::stale, Status::badhandle), 3);
  stage.access("/d/f", 5);
  stage.run();
  CHECK(stage.applied() == 1);
  CHECK(stage.client.count(Procedure::setattr) == 4);
}

TEST_CASE("AHandleThatIsAlwaysStaleIsRetriedLaterAndGivenUpAfterADay", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.client.script = answer(Procedure::setattr, Status::stale);
  stage.access("/d/f", 5);
  stage.run();
  CHECK(stage.client.count(Procedure::setattr) == 4);
  CHECK(stage.engine.work() == 0);
  CHECK(stage.backlog.pending() == 1);
  for (int i = 0; i < 25; ++i) {
    stage.clock.advance(hours{1});
    stage.run();
  }
  CHECK(stage.failed("stale") == 1);
  CHECK(stage.adds_up());
}

TEST_CASE("AnHourWithoutServerCostsNothingAndLosesNothing", "[apply]") {
  Stage stage;
  for (int i = 0; i < 1000; ++i) {
    const std::string path = "/d" + std::to_string(i % 10) + "/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
  }
  stage.engine.pump();
  for (int i = 0; i < 100; ++i) REQUIRE(stage.client.deliver());
  stage.client.disconnect();
  stage.engine.pump();
  CHECK(stage.degraded("unreachable") == 1);
  const auto requests = stage.client.requests.size();
  stage.run_for(hours{1});
  CHECK(stage.client.requests.size() == requests);
  CHECK_FALSE(stage.engine.next_deadline());
  CHECK(stage.failed() == 0);

  stage.client.connected = true;
  stage.run_for(minutes{1});
  CHECK(stage.degraded("unreachable") == 0);
  CHECK(stage.applied() + stage.unchanged() == 1000);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("AnExportThatIsNotMountedWaits", "[apply]") {
  Stage stage{{"/a", "/b"}};
  stage.client.make_file("/a/f");
  stage.client.make_file("/b/f");
  stage.client.mounts = {Status::acces, Status::ok};
  stage.access("/a/f", 5);
  stage.access("/b/f", 5);
  stage.run_for(minutes{1});
  CHECK(stage.applied() == 1);
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("mount") == 1);
  stage.client.mounts = {Status::ok, Status::ok};
  stage.run();
  CHECK(stage.applied() == 2);
  CHECK(stage.degraded("mount") == 0);
}

TEST_CASE("AnExportThatIsNoLongerMountedHoldsUpNoOther", "[apply]") {
  Stage stage{{"/a", "/b"}};
  for (const std::string name : {"1", "2", "3", "4"}) {
    stage.client.make_file("/a/" + name);
    stage.client.make_file("/b/" + name);
    stage.access("/a/" + name, 5);
  }
  stage.client.limit = 2;
  stage.engine.pump();
  CHECK(stage.client.outstanding() == 2);  // and two requests wait for room
  stage.client.mounts = {Status::acces, Status::ok};
  for (const std::string name : {"1", "2", "3", "4"}) stage.access("/b/" + name, 5);
  stage.run();
  for (const std::string name : {"1", "2", "3", "4"}) CHECK(stage.client.atime("/b/" + name) == at(5));
  CHECK(stage.applied() == 4);
  stage.client.mounts = {Status::ok, Status::ok};
  stage.run();
  CHECK(stage.applied() == 8);
  CHECK(stage.client.violations.empty());
}

TEST_CASE("AFileRenamedWhileItsEntryIsInFlightIsFoundUnderItsNewName", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.access("/d/f", 5);
  stage.engine.pump();
  stage.moved("/d/f", "/d/g", 6);
  stage.run();
  CHECK(stage.client.atime("/d/g") == at(5));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryRenamedWhileItsFilesAreInFlightLosesNothing", "[apply]") {
  Stage stage;
  constexpr int kFiles = 300;
  for (int i = 0; i < kFiles; ++i) {
    stage.client.make_file("/old/sub/" + std::to_string(i));
    stage.access("/old/sub/" + std::to_string(i), 5);
  }
  stage.engine.pump();
  const int delivered = GENERATE(0, 1, 2, 40, 200);
  for (int i = 0; i < delivered; ++i) REQUIRE(stage.client.deliver());
  stage.moved("/old", "/new", 6);
  stage.client.make_file("/old/sub/other");
  stage.access("/old/sub/other", 7);
  stage.run();
  for (int i = 0; i < kFiles; ++i) CHECK(stage.client.atime("/new/sub/" + std::to_string(i)) == at(5));
  CHECK(stage.client.atime("/old/sub/other") == at(7));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AFileRemovedWhileItsEntryIsInFlightIsCancelled", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.client.make_file("/d/g");
  stage.access("/d/f", 5);
  stage.access("/d/g", 5);
  stage.engine.pump();
  REQUIRE(stage.client.deliver());  // /d
  REQUIRE(stage.client.deliver());  // /d/f, which is removed before its SETATTR
  stage.removed("/d/f", 6);
  stage.removed("/d/g", 6);
  stage.run();
  CHECK(stage.failed() == 0);
  CHECK(stage.sum("qatime_cancelled_total") == 2);
  CHECK(stage.adds_up());
}

TEST_CASE("ANameThatMeansAnotherDirectoryNowIsLookedUpAgain", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/f");
  stage.access("/d/f", 5);
  stage.run();
  stage.moved("/d", "/e", 6);
  stage.client.make_file("/d/f");
  stage.access("/d/f", 7);
  stage.run();
  CHECK(stage.client.atime("/d/f") == at(7));
  CHECK(stage.client.atime("/e/f") == at(5));
}

// The name has another file by then, which nobody accessed.
TEST_CASE("AFileThatIsRenamedWhileItsAccessIsInFlightKeepsIt", "[apply]") {
  NfsConfig config;
  config.exports = {{"/", "/"}};
  config.max_rate = GENERATE(std::size_t{0}, std::size_t{1});
  Stage stage{config};
  for (int i = 0; i < 3; ++i) {
    stage.client.make_file("/f" + std::to_string(i));
    stage.access("/f" + std::to_string(i), 5);
  }
  stage.engine.pump();
  const int looked_up = GENERATE(range(0, 4));
  for (int i = 0; i < looked_up; ++i) REQUIRE(stage.client.deliver());
  for (int i = 0; i < 3; ++i) {
    const std::string name = "/f" + std::to_string(i);
    stage.moved(name, "/moved" + std::to_string(i), 6);
    stage.client.make_file(name);
    stage.client.set_atime_of(name, at(1));
  }
  stage.run_for(seconds{5});
  for (int i = 0; i < 3; ++i) {
    CHECK(stage.client.atime("/moved" + std::to_string(i)) == at(5));
    CHECK(stage.client.atime("/f" + std::to_string(i)) == at(1));
  }
  CHECK(stage.applied() == 3);
  CHECK(stage.adds_up());
}

TEST_CASE("ARenamedFileIsNotTakenForAnotherThatIsNewer", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f", 5);
  stage.engine.pump();
  stage.moved("/f", "/g", 6);
  stage.client.make_file("/f");
  stage.client.set_atime_of("/f", at(9));
  stage.run();
  CHECK(stage.client.atime("/g") == at(5));
  CHECK(stage.unchanged() == 0);
}

TEST_CASE("WithoutExactGuardsAFileWithTwoNamesNeverGoesBackwards", "[apply]") {
  auto stage = Stage::without_readdirplus();
  std::minstd_rand random{GENERATE(range(1U, 20U))};
  stage.client.replies_are_slow = true;
  SECTION("without any") { stage.client.guards = false; }
  SECTION("with coarse ones") { stage.client.guards_by_seconds = true; }
  for (int i = 0; i < 40; ++i) {
    const std::string number = std::to_string(i);
    stage.client.make_file("/d/a" + number);
    stage.client.link("/d/a" + number, "/d/b" + number);
    stage.access("/d/a" + number, i % 2 == 0 ? 9 : 5);
    stage.access("/d/b" + number, i % 2 == 0 ? 5 : 9);
  }
  stage.engine.pump();
  while (stage.client.deliver_any(random)) stage.engine.pump();
  for (int i = 0; i < 40; ++i) CHECK(stage.client.atime("/d/a" + std::to_string(i)) == at(9));
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("AServerWhoseRepliesAreWrongIsAskedOnce", "[apply]") {
  Stage stage;
  stage.client.wrong_replies = true;
  for (int i = 0; i < 5; ++i) {
    const std::string path = "/f" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
    stage.run();
  }
  CHECK(stage.applied() == 5);
  CHECK(stage.failed() == 0);
  CHECK(stage.client.count(Procedure::getattr) == 1);
}

TEST_CASE("ATreeThatIsExportedInPlaceOfAnotherIsLookedUpAnew", "[apply]") {
  Stage stage{{"/exp"}};
  stage.client.make_file("/exp/d/f");
  stage.access("/exp/d/f", 5);
  stage.run();
  stage.client.rename("/exp", "/old");
  stage.client.make_file("/exp/d/f");
  stage.access("/exp/d/f", 7);
  stage.run();
  CHECK(stage.client.atime("/old/d/f") == at(5));
  CHECK(stage.client.atime("/exp/d/f") == at(7));
}

TEST_CASE("AnExportThatIsTakenBackUnderLoadHoldsNoOtherUp", "[apply]") {
  Stage stage{{"/a", "/b"}};
  stage.client.limit = 8;
  for (int i = 0; i < 200; ++i) {
    stage.client.make_file("/a/" + std::to_string(i / 4) + "/" + std::to_string(i));
    stage.access("/a/" + std::to_string(i / 4) + "/" + std::to_string(i), 5);
  }
  stage.engine.pump();
  stage.client.mounts[0] = Status::acces;
  while (stage.client.outstanding() > 0) stage.client.complete_oldest(Status::lost, FakeClient::Execution::never);
  for (int i = 0; i < 50; ++i) {
    stage.client.make_file("/b/" + std::to_string(i));
    stage.access("/b/" + std::to_string(i), 5);
  }
  stage.run_for(seconds{5});
  CHECK(stage.applied() == 50);
  stage.client.mounts[0] = Status::ok;
  stage.run_for(minutes{1});
  CHECK(stage.applied() == 250);
  CHECK(stage.adds_up());
}

TEST_CASE("AnHourWithoutServersCostsNothingButTheBacklog", "[apply]") {
  Stage stage;
  for (int i = 0; i < 10'000; ++i) {
    const std::string path = "/d" + std::to_string(i % 100) + "/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
  }
  stage.engine.pump();
  stage.client.disconnect();
  const auto requests = stage.client.requests.size();
  for (int second = 0; second < 3600; ++second) {
    stage.run_for(seconds{1});
    CHECK_FALSE(stage.engine.next_deadline());  // nothing to wake up for
  }
  CHECK(stage.client.requests.size() == requests);
  stage.client.connected = true;
  stage.run_for(minutes{1});
  CHECK(stage.applied() == 10'000);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

}  // namespace
}  // namespace qatime::apply::engine_failure_test

// SPDX-License-Identifier: MIT
// A file's problem or an export's: nothing may be lost.
#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::engine_breaker_test {
namespace {

using nfs::Status;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string file(int directory, int number) { return "/d" + std::to_string(directory) + "/" + std::to_string(number); }

void make_and_access(Stage& stage, const std::string& path, int time = 5) {
  stage.client.make_file(path);
  stage.access(path, time);
}

FakeClient::Script deny(const std::string& prefix, Status status, Procedure procedure = Procedure::setattr) {
  return [=](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure == procedure && request.path.starts_with(prefix)) return status;
    return {};
  };
}

TEST_CASE("ASquashedExportKeepsItsEntriesUntilItIsPutRight", "[apply]") {
  const auto [status, reason] = GENERATE(
      table<Status, std::string>({{Status::perm, "denied"}, {Status::acces, "denied"}, {Status::rofs, "read_only"}}));
  Stage stage;
  for (int i = 0; i < 10'000; ++i) make_and_access(stage, file(i % 100, i));
  stage.client.script = deny("/", status);
  stage.run_for(minutes{5});
  CHECK(stage.failed() == 0);
  CHECK(stage.applied() == 0);
  CHECK(stage.degraded(reason) == 1);
  CHECK(stage.engine.work() == 0);
  CHECK(stage.backlog.pending() == 10'000);
  const auto tried = stage.client.count(Procedure::setattr);
  stage.run_for(minutes{1});
  CHECK(stage.client.count(Procedure::setattr) - tried <= 6);

  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 10'000);
  CHECK(stage.degraded(reason) == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AnExportSquashedUnderLoadLosesNothing", "[apply]") {
  Stage stage;
  for (int i = 0; i < 2'000; ++i) make_and_access(stage, file(i % 20, i));
  stage.engine.pump();
  while (stage.applied() < 500) REQUIRE(stage.client.deliver());
  stage.client.script = deny("/", Status::perm);
  stage.run_for(minutes{1});
  CHECK(stage.failed() == 0);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 2'000);
  CHECK(stage.adds_up());
}

// As Linux does, if an export has become "secure" and the client's port is above 1023.
TEST_CASE("AnExportThatRefusesEveryRequestLosesNothingAndSaysWhatToLookAt", "[apply]") {
  Stage stage;
  for (int i = 0; i < 10; ++i) make_and_access(stage, file(i, i));
  stage.client.script = [](const FakeClient::Request&) { return std::optional{Status::perm}; };
  stage.run_for(minutes{5});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("denied") == 1);
  const auto alerts = stage.registry.alerts().active();
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].text == nfs::advice(nfs::Purpose::set, Status::perm));
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 10);
}

TEST_CASE("OneSquashedDirectoryOfManyFilesLosesNothingEither", "[apply]") {
  Stage stage;
  for (int i = 0; i < 5'000; ++i) make_and_access(stage, file(0, i));
  stage.client.script = deny("/", Status::perm);
  stage.run_for(minutes{1});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("denied") == 1);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 5'000);
}

TEST_CASE("ForAnotherUserASuspendedExportIsTriedWithAnotherEntryEachTime", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  for (int i = 0; i < 30; ++i) make_and_access(stage, file(i, i));
  stage.client.limit = 3;
  stage.client.script = deny("/", Status::perm);
  stage.run_for(minutes{1});
  REQUIRE(stage.degraded("denied") == 1);
  stage.client.requests.clear();
  stage.run_for(seconds{51});
  const auto tried = stage.client.count(Procedure::setattr);
  CHECK(tried >= 4);
  CHECK(tried <= 6);
  for (int i = 0; i < 30; ++i) CHECK(stage.client.count(Procedure::setattr, file(i, i)) <= 1);
  CHECK(stage.failed() == 0);
}

// As with immutable files of three users.
TEST_CASE("AsRootDenialsInManyDirectoriesSuspendNothingWhileTheRootCanBeSet", "[apply]") {
  Stage stage;
  stage.client.script = deny("/locked", GENERATE(Status::perm, Status::acces, Status::rofs));
  for (int i = 0; i < 600; ++i) make_and_access(stage, "/locked" + std::to_string(i) + "/f");
  for (int i = 0; i < 10; ++i) make_and_access(stage, file(i, i));
  stage.run();
  stage.run_for(milliseconds{200});
  CHECK(stage.applied() == 10);
  stage.run_for(seconds{12});
  CHECK(stage.failed() == 600);
  CHECK(stage.degraded("denied") + stage.degraded("read_only") == 0);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

// A stream of new files, of which some are denied by lot. Returns how long the slowest of the others took.
Clock::Duration slowest(Stage& stage, int percent, int rounds, int per_round) {
  std::minstd_rand random{7};
  stage.client.script = deny("/locked", Status::perm);
  std::vector<std::pair<std::string, Clock::Instant>> waiting;
  Clock::Duration longest{};
  const auto note = [&] {
    std::erase_if(waiting, [&](const auto& each) {
      if (stage.client.atime(each.first) != at(5)) return false;
      longest = std::max(longest, stage.clock.now() - each.second);
      return true;
    });
  };
  for (int i = 0; i < rounds * per_round; ++i) {
    const bool is_denied = static_cast<int>(random() % 100) < percent;
    const std::string path = (is_denied ? "/locked/" : "/") + std::to_string(random() % 40) + "/" + std::to_string(i);
    make_and_access(stage, path);
    if (!is_denied) waiting.emplace_back(path, stage.clock.now());
    if (i % per_round != per_round - 1) continue;
    for (int turns = 0; turns < 10; ++turns) {
      stage.run();
      note();
      stage.clock.advance(milliseconds{10});
    }
  }
  for (int turns = 0; turns < 200 && !waiting.empty(); ++turns) {
    stage.run_for(milliseconds{100});
    note();
  }
  CHECK(waiting.empty());
  return longest;
}

TEST_CASE("AsRootAThirdOfDenialsDelaysNobody", "[apply]") {
  Stage stage;
  CHECK(slowest(stage, 30, 200, 10) < milliseconds{100});
  CHECK(stage.degraded("denied") == 0);
}

TEST_CASE("ForAnotherUserATenthOfDenialsDelaysTheOthersForAMoment", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  CHECK(slowest(stage, 10, 200, 10) < seconds{2});
  CHECK(stage.degraded("denied") == 0);
  stage.run_for(seconds{70});
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ForAnotherUserManyForeignFilesDelayTheOthersForAMoment", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  stage.client.script = deny("/locked", Status::perm);
  for (int i = 0; i < 600; ++i) make_and_access(stage, "/locked" + std::to_string(i) + "/f");
  for (int i = 0; i < 100; ++i) {
    make_and_access(stage, file(i % 7, i));
    stage.run_for(milliseconds{100});
  }
  stage.run_for(seconds{12});
  CHECK(stage.applied() == 100);
  stage.run_for(minutes{2});
  CHECK(stage.failed("perm") == 600);
  CHECK(stage.adds_up());
}

TEST_CASE("ForAnotherUserASquashLosesNothing", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  for (int i = 0; i < 2'000; ++i) make_and_access(stage, file(i % 100, i));
  stage.client.script = deny("/", Status::perm);
  stage.run_for(minutes{5});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("denied") == 1);
  stage.client.script = {};
  stage.run_for(seconds{12});
  CHECK(stage.applied() == 2'000);
  CHECK(stage.adds_up());
}

// As where the export's root was given to nobody, and everybody is squashed to that.
TEST_CASE("ARootThatIsNotRootsProvesNothing", "[apply]") {
  Stage stage;
  stage.client.owner = 65'534;
  stage.client.script = deny("/d", Status::perm);
  const int files = GENERATE(1, 100);
  for (int i = 0; i < files; ++i) make_and_access(stage, file(i, i));
  stage.run_for(minutes{5});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("denied") == 1);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == files);
}

// Its directory alone is immutable.
TEST_CASE("ARootThatIsDeniedAloneSuspendsTheExportForAWhile", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    const bool is_denied = request.path == "/" || request.path.starts_with("/locked");
    if (request.procedure == Procedure::setattr && is_denied) return Status::perm;
    return {};
  };
  for (int i = 0; i < 5; ++i) make_and_access(stage, "/locked" + std::to_string(i) + "/f");
  stage.run_for(seconds{1});
  for (int i = 0; i < 50; ++i) make_and_access(stage, file(i, i));
  stage.run_for(seconds{30});
  CHECK(stage.applied() == 50);
  stage.run_for(minutes{2});
  CHECK(stage.failed("perm") == 5);
  CHECK(stage.degraded("denied") == 0);
}

TEST_CASE("ASingleDeniedFileFailsWhileOthersGoOn", "[apply]") {
  Stage stage;
  stage.client.script = deny("/d0/locked", Status::perm);
  make_and_access(stage, "/d0/locked");
  stage.run();
  CHECK(stage.failed() == 0);
  CHECK(stage.backlog.pending() == 1);
  make_and_access(stage, "/d0/free");
  stage.run();
  CHECK(stage.failed("perm") == 1);
  CHECK(stage.applied() == 1);
  CHECK(stage.degraded("denied") == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ASuccessThatWasSentBeforeTheDenialProvesNothing", "[apply]") {
  Stage stage;
  make_and_access(stage, "/a");
  make_and_access(stage, "/b");
  stage.engine.pump();
  REQUIRE(stage.client.deliver());
  REQUIRE(stage.client.deliver());
  REQUIRE(stage.client.outstanding() == 2);  // both SETATTRs
  stage.client.complete_oldest(Status::perm, FakeClient::Execution::never);
  REQUIRE(stage.client.deliver());
  CHECK(stage.applied() == 1);
  CHECK(stage.failed() == 0);
  CHECK(stage.engine.work() == 1);
}

TEST_CASE("WhereNobodyElseDecidesTheRootsOwnAtimeDoes", "[apply]") {
  Stage stage;
  stage.client.set_atime_of("/", at(3));
  stage.client.script = deny("/locked", Status::perm);
  make_and_access(stage, "/locked");
  stage.run_for(seconds{2});
  CHECK(stage.failed("perm") == 1);
  CHECK(stage.client.count(Procedure::setattr, "/") == 1);
  CHECK(stage.client.requests.back().guard);
  CHECK(stage.client.atime("/") == at(3));
  CHECK(stage.applied() == 0);

  SECTION("at most once per 10 s") {
    make_and_access(stage, "/locked2");
    stage.run_for(seconds{7});
    CHECK(stage.failed() == 1);
    stage.run_for(seconds{3});
    CHECK(stage.failed() == 2);
    CHECK(stage.client.count(Procedure::setattr, "/") == 2);
  }
}

TEST_CASE("ARootThatIsBeingWrittenIsLeftAlone", "[apply]") {
  Stage stage;
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure != Procedure::setattr) return {};
    if (request.path != "/") return Status::perm;
    stage.client.touch_ctime("/");
    return {};
  };
  make_and_access(stage, "/locked");
  stage.run_for(seconds{5});
  CHECK(stage.client.count(Procedure::setattr, "/") == 3);
  for (const auto& request : stage.client.requests) CHECK((request.path != "/" || request.guard || !request.atime));
  CHECK(stage.failed() == 0);
}

TEST_CASE("ADeniedRootSuspendsTheExport", "[apply]") {
  Stage stage;
  stage.client.script = deny("/", Status::rofs);
  make_and_access(stage, "/f");
  stage.run_for(seconds{2});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("read_only") == 1);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 1);
  CHECK(stage.degraded("read_only") == 0);
}

TEST_CASE("ARootThatDecidesNothingSuspendsTheExportInTheEnd", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure != Procedure::setattr) return {};
    return request.path == "/" ? Status::io : Status::perm;
  };
  make_and_access(stage, "/f");
  stage.run_for(seconds{59});
  CHECK(stage.degraded("denied") == 0);
  stage.run_for(seconds{2});
  CHECK(stage.degraded("denied") == 1);
  CHECK(stage.failed() == 0);
}

TEST_CASE("ScatteredDenialsAmongSuccessesSuspendNothing", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure == Procedure::setattr && request.path.ends_with("7")) return Status::perm;
    return {};
  };
  for (int i = 0; i < 1'000; ++i) make_and_access(stage, file(i % 50, i));
  stage.run_for(seconds{2});
  CHECK(stage.failed("perm") == 100);
  CHECK(stage.applied() == 900);
  CHECK(stage.degraded("denied") == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryThatMayNotBeSearchedIsOneWitness", "[apply]") {
  Stage stage;
  stage.client.script = deny("/private/", Status::acces, Procedure::lookup);
  for (int i = 0; i < 10; ++i) make_and_access(stage, "/private/" + std::to_string(i) + "/f");
  stage.run();
  stage.run();
  CHECK(stage.degraded("denied") == 0);
  stage.run_for(seconds{2});
  CHECK(stage.failed("acces") == 10);
}

TEST_CASE("SuspectsAreBounded", "[apply]") {
  Stage stage;
  stage.client.script = deny("/", Status::perm);
  for (int i = 0; i < 5'000; ++i) make_and_access(stage, file(0, i));
  stage.run();
  CHECK(stage.engine.work() <= Breaker::kMaxHeld + std::size_t{4 * 64});
}

TEST_CASE("AGoneDirectoryWithMuchBelowItHoldsNobodyUp", "[apply]") {
  Stage stage;
  constexpr int kBelow = 20'000;
  SECTION("in one directory") {
    for (int i = 0; i < kBelow; ++i) stage.access("/gone/" + std::to_string(i), 5);
  }
  SECTION("in many") {
    for (int i = 0; i < kBelow; ++i) stage.access("/gone" + file(i, i), 5);
  }
  stage.run_for(seconds{5});
  for (int i = 0; i < 100; ++i) make_and_access(stage, file(i, i));
  stage.run_for(seconds{5});
  CHECK(stage.applied() == 100);
  CHECK(stage.degraded("mapping") == 0);
  stage.run_for(seconds{60});
  CHECK(stage.failed("noent") == kBelow);
  CHECK(stage.adds_up());
}

TEST_CASE("AProbeOfAWrongMappingTakesAnotherComponentTheNewestFirst", "[apply]") {
  Stage stage;
  for (int i = 0; i < 3'000; ++i) stage.access("/gone" + std::to_string(i % 10) + file(i, i), 5);
  stage.run_for(seconds{60});
  REQUIRE(stage.degraded("mapping") == 1);
  make_and_access(stage, "/here/f");
  stage.run_for(seconds{11});
  CHECK(stage.client.atime("/here/f") == at(5));
  CHECK(stage.degraded("mapping") == 0);
}

TEST_CASE("AWrongMappingSuspendsTheExport", "[apply]") {
  Stage stage{{"/exp"}};
  for (int i = 0; i < 100; ++i) stage.access("/exp/data/" + std::to_string(i), 5);
  stage.run_for(minutes{1});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("mapping") == 1);
  CHECK(stage.backlog.pending() == 100);

  for (int i = 0; i < 100; ++i) stage.client.make_file("/exp/data/" + std::to_string(i));
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 100);
  CHECK(stage.degraded("mapping") == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ASingleMissingFirstComponentIsGoneAfterAWhile", "[apply]") {
  Stage stage;
  stage.access("/gone/f", 5);
  stage.run_for(seconds{11});
  CHECK(stage.failed() == 0);
  stage.run_for(seconds{1});
  CHECK(stage.failed("noent") == 1);
  CHECK(stage.degraded("mapping") == 0);
}

TEST_CASE("AMissingFirstComponentIsGoneWhenAnotherIsFound", "[apply]") {
  Stage stage;
  stage.access("/gone/f", 5);
  stage.access("/gone/g", 5);
  stage.run_for(seconds{3});
  CHECK(stage.failed() == 0);
  make_and_access(stage, "/here/f");
  stage.run();
  CHECK(stage.failed("noent") == 2);
}

TEST_CASE("AMissingFirstComponentIsLookedAtAgainInTheLightOfALateRecord", "[apply]") {
  Stage stage;
  stage.client.make_file("/old/f");
  stage.client.rename("/old", "/new");
  stage.access("/old/f", 5);
  stage.run();
  stage.backlog.add(std::array{Event{Move{"/old", "/new", at(6)}}});
  stage.run_for(seconds{11});
  CHECK(stage.client.atime("/new/f") == at(5));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AMissingFirstComponentIsGoneWhenAnotherIsKnownToExist", "[apply]") {
  Stage stage;
  stage.client.make_directory("/d");
  stage.access("/gone/f", 5);
  stage.run_for(seconds{3});
  CHECK(stage.failed() == 0);
  stage.access("/d/gone", 5);
  stage.run_for(seconds{2});
  CHECK(stage.failed("noent") == 2);
}

TEST_CASE("ADirectoryThatIsGoneAmongLiveOnesSuspendsNothing", "[apply]") {
  Stage stage;
  for (int i = 0; i < 10; ++i) stage.access("/gone/" + std::to_string(i), 5);
  for (int i = 0; i < 60; ++i) {
    make_and_access(stage, "/here/" + std::to_string(i));
    stage.run_for(seconds{1});
    CHECK(stage.degraded("mapping") == 0);
  }
  CHECK(stage.failed("noent") == 10);
  CHECK(stage.applied() == 60);
}

TEST_CASE("WhoIsNotRootMayBeDeniedOneFileForGood", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  make_and_access(stage, "/d/foreign");
  stage.client.script = deny("/", Status::perm);
  stage.run_for(seconds{70});
  CHECK(stage.degraded("denied") == 0);
  CHECK(stage.failed("perm") == 1);
}

TEST_CASE("AnExportThatNothingWaitsForIsStillProbed", "[apply]") {
  Stage stage;
  for (int i = 0; i < 5; ++i) make_and_access(stage, file(i, i));
  stage.client.script = deny("/", Status::perm);
  stage.run_for(seconds{2});
  REQUIRE(stage.degraded("denied") == 1);
  for (int i = 0; i < 5; ++i) stage.removed(file(i, i), 6);
  REQUIRE(stage.backlog.pending() == 0);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.degraded("denied") == 0);
}

TEST_CASE("AfterAWrongMappingTheNextEntryIsTriedAtOnce", "[apply]") {
  Stage stage{{"/exp"}};
  for (int i = 0; i < 5; ++i) stage.access("/exp/data/" + std::to_string(i), 5);
  stage.run_for(seconds{20});
  REQUIRE(stage.degraded("mapping") == 1);
  stage.removed("/exp/data", 6, true);
  stage.run_for(seconds{31});
  make_and_access(stage, "/exp/data/f", 7);
  stage.run();
  CHECK(stage.applied() == 1);
}

TEST_CASE("MissingNamesFurtherDownAreJustMissing", "[apply]") {
  Stage stage;
  stage.client.make_directory("/d/e");
  for (int i = 0; i < 10; ++i) {
    stage.access("/gone" + std::to_string(i), 5);
    stage.access("/d/gone/" + std::to_string(i), 5);
    stage.access("/d/e/gone" + std::to_string(i), 5);
  }
  stage.run_for(seconds{2});
  CHECK(stage.failed("noent") == 30);
  CHECK(stage.degraded("mapping") == 0);
}

TEST_CASE("RejectedCredentialsSuspendTheExport", "[apply]") {
  Stage stage;
  stage.client.script = deny("/", Status::auth, Procedure::lookup);
  for (int i = 0; i < 100; ++i) make_and_access(stage, file(i % 10, i));
  stage.run_for(minutes{1});
  CHECK(stage.failed() == 0);
  CHECK(stage.degraded("auth") == 1);
  stage.client.script = {};
  stage.run_for(seconds{11});
  CHECK(stage.applied() == 100);
  CHECK(stage.degraded("auth") == 0);
}

TEST_CASE("AnyAnswerButARejectionShowsThatCredentialsAreTaken", "[apply]") {
  Stage stage;
  stage.client.script = deny("/", Status::auth, Procedure::lookup);
  make_and_access(stage, "/f");
  make_and_access(stage, "/g");
  stage.run_for(seconds{1});
  REQUIRE(stage.degraded("auth") == 1);
  stage.client.script = deny("/", Status::io, Procedure::lookup);
  stage.run_for(seconds{10});
  CHECK(stage.degraded("auth") == 0);
}

TEST_CASE("ASuspendedExportHoldsNoOtherUp", "[apply]") {
  Stage stage{{"/a", "/b"}};
  stage.client.script = deny("/a", Status::perm);
  for (int i = 0; i < 100; ++i) {
    make_and_access(stage, "/a" + file(i % 10, i));
    make_and_access(stage, "/b" + file(i % 10, i));
  }
  stage.run_for(seconds{30});
  CHECK(stage.applied() == 100);
  CHECK(stage.failed() == 0);
  CHECK(stage.backlog.pending() == 100);
}

TEST_CASE("ProbesThatSayNothingDoNotDelayTheNext", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  for (int i = 0; i < 200; ++i) make_and_access(stage, file(i, i));
  stage.client.script = deny("/", Status::perm);
  stage.run();
  for (int i = 0; i < 199; ++i) stage.client.remove(file(i + 1, i + 1));  // without a record
  stage.client.script = {};
  stage.run_for(seconds{12});
  CHECK(stage.client.atime(file(0, 0)) == at(5));
  CHECK(stage.adds_up());
}

TEST_CASE("AProbeWhoseFileMovedAwayDoesNotDelayTheNext", "[apply]") {
  Stage stage{{"/"}, false, 1000};
  for (int i = 0; i < 10; ++i) make_and_access(stage, file(i, i));
  stage.client.script = deny("/", Status::perm);
  stage.run();
  stage.client.script = {};
  stage.clock.advance(seconds{10});
  stage.engine.pump();
  REQUIRE(stage.client.outstanding() == 1);
  stage.moved(stage.client.requests.back().path, "/moved", 6);
  stage.run();
  CHECK(stage.applied() == 10);
  CHECK(stage.client.atime("/moved") == at(5));
}

}  // namespace
}  // namespace qatime::apply::engine_breaker_test

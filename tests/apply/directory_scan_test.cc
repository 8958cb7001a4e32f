// SPDX-License-Identifier: MIT
#include "apply/directory_scan.h"

#include <chrono>
#include <optional>
#include <random>
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::directory_scan_test {
namespace {

using nfs::Status;

std::string file(int i, const std::string& directory = "/d") { return directory + "/file" + std::to_string(i); }

// `count` files in /d, of which the first `wanted` are accessed.
void prepare(Stage& stage, int count, int wanted, const std::string& directory = "/d") {
  for (int i = 0; i < count; ++i) stage.client.make_file(file(i, directory));
  for (int i = 0; i < wanted; ++i) stage.access(file(i, directory), 5);
}

bool are_set(const Stage& stage, int count, const std::string& directory = "/d") {
  for (int i = 0; i < count; ++i) {
    if (stage.client.atime(file(i, directory)) != at(5)) return false;
  }
  return true;
}

// Delivers until the first page has come.
void deliver_first_page(Stage& stage) {
  stage.engine.pump();
  while (stage.applied() == 0) REQUIRE(stage.client.deliver());
  REQUIRE(stage.client.count(Procedure::readdirplus) >= 1);
}

TEST_CASE("PagesGoOnWhileTheyShowOneWantedNameInEight", "[apply]") {
  CHECK(next_page(kProbe, 48, 7, 10'000) > 0);
  CHECK(next_page(kProbe, 48, 6, 10'000) == 0);
  CHECK(next_page(kProbe, 48, 0, 10'000) == 0);
  CHECK(next_page(kProbe, 0, 0, 10'000) == 0);
  CHECK(next_page(kProbe, 1, 1, 10'000) == 0);  // no less than one LOOKUP after the other
}

TEST_CASE("APageIsAsLargeAsWhatIsLeftNeedsWithinItsBounds", "[apply]") {
  CHECK(next_page(kProbe, 48, 48, 96) == 2 * kProbe);
  CHECK(next_page(kProbe, 48, 24, 48) == 2 * kProbe);
  CHECK(next_page(kProbe, 48, 48, 1'000'000) == kLargestPage);
  CHECK(next_page(kLargestPage, 200, 200, 1) == kProbe);
}

TEST_CASE("TheFirstPageHasRoomForAsManyNamesAsWait", "[apply]") {
  CHECK(first_page(1) == kSmallestPage);
  CHECK(first_page(20) > 20 * 180);
  CHECK(first_page(20) < 25 * 200);
  CHECK(first_page(1'000'000) == kProbe);
}

TEST_CASE("ManySmallDirectoriesCostAPageEach", "[apply]") {
  Stage stage;
  const int count = GENERATE(8, 20, 40);
  for (int d = 0; d < 50; ++d) prepare(stage, count, count, "/d" + std::to_string(d));
  stage.run();
  for (int d = 0; d < 50; ++d) CHECK(are_set(stage, count, "/d" + std::to_string(d)));
  CHECK(stage.client.count(Procedure::lookup) == 50);
  CHECK(stage.client.count(Procedure::readdirplus) == 50);
}

TEST_CASE("AWholeDirectoryCostsLittleMoreThanItsSetattrs", "[apply]") {
  Stage stage;
  const int count = GENERATE(100, 2000);
  prepare(stage, count, count);
  stage.run();
  CHECK(are_set(stage, count));
  CHECK(stage.client.count(Procedure::lookup) == 1);  // of /d
  CHECK(stage.client.requests.size() * 10 <= static_cast<std::size_t>(count) * 11);
  CHECK(stage.client.violations.empty());
  CHECK(stage.engine.work() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryWithMoreWaitingNamesThanScansHoldCostsLittleMoreThanItsSetattrs", "[apply]") {
  Stage stage;
  const int count = 50'000;
  for (int i = 0; i < count; ++i) stage.client.make_file(file(i));
  SECTION("in its own order") {
    for (const auto& name : stage.client.listing("/d")) stage.access("/d/" + name, 5);
  }
  SECTION("in another order") {
    for (int i = 0; i < count; ++i) stage.access(file(i), 5);
  }
  stage.run();
  CHECK(are_set(stage, count));
  CHECK(stage.client.requests.size() * 10 <= static_cast<std::size_t>(count) * 11);
  CHECK(stage.engine.work() == 0);
  CHECK(stage.adds_up());
}

// Accesses the names of /d in its own order, one a millisecond, as a backup does. Replies come with every `each` name.
void walk(Stage& stage, int each) {
  int walked = 0;
  for (const auto& name : stage.client.listing("/d")) {
    stage.access("/d/" + name, 5);
    stage.clock.advance(std::chrono::milliseconds{1});
    stage.engine.pump();
    if (++walked % each == 0) stage.run();
  }
  stage.run();
}

TEST_CASE("AWalkThroughADirectoryInItsOwnOrderCostsLittleMoreThanItsSetattrs", "[apply]") {
  Stage stage;
  const int count = 20'000;
  const int each = GENERATE(1, 3, 10, 40);
  for (int i = 0; i < count; ++i) stage.client.make_file(file(i));
  walk(stage, each);
  CHECK(are_set(stage, count));
  CHECK(stage.client.requests.size() * 10 <= static_cast<std::size_t>(count) * 11);
  CHECK(stage.client.violations.empty());
  CHECK(stage.engine.work() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("WhatWasReadAheadIsSetByTheRulesOfHotFiles", "[apply]") {
  Stage stage;
  for (int i = 0; i < 200; ++i) stage.client.make_file(file(i));
  stage.client.make_file("/other");
  const auto names = stage.client.listing("/d");
  for (std::size_t i = 0; i < 20; ++i) {
    stage.access("/d/" + names[i], 5);
    stage.run();
  }
  REQUIRE(stage.client.count(Procedure::readdirplus) == 1);
  const std::string next = "/d/" + names[25];
  const auto access_next = [&] {
    stage.access("/another", 7);  // with which the news comes
    stage.run();
    stage.access(next, 7);
    stage.run();
  };

  SECTION("without a LOOKUP") {
    access_next();
    CHECK(stage.client.count(Procedure::lookup, next) == 0);
    CHECK(stage.client.requests.back().guard);
    CHECK(stage.client.atime(next) == at(7));
  }
  SECTION("but when its name has changed hands") {
    stage.moved(next, "/e/seven", 6);
    stage.moved("/other", next, 6);
    access_next();
    CHECK(stage.client.atime("/e/seven") == Time{});
    CHECK(stage.client.atime(next) == at(7));
  }
  SECTION("but when its directory has moved") {
    stage.moved("/d", "/e", 6);
    stage.client.make_file(next);
    access_next();
    CHECK(stage.client.atime("/e/" + names[25]) == Time{});
    CHECK(stage.client.atime(next) == at(7));
  }
  SECTION("but when somebody else has set it") {
    stage.client.set_atime_of(next, at(9));
    access_next();
    CHECK(stage.client.atime(next) == at(9));
    CHECK(stage.unchanged() == 1);
  }
  SECTION("but after two seconds") {
    stage.clock.advance(std::chrono::seconds{2});
    access_next();
    CHECK(stage.client.count(Procedure::lookup, next) == 1);
  }
  SECTION("but where guards are by whole seconds") {
    stage.client.guards_by_seconds = true;
    stage.client.touch_ctime(next);
    access_next();
    CHECK(stage.client.atime(next) == at(7));
  }
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("NamesThatAreReadAheadWhileTheirDirectoryMovesAreLookedUp", "[apply]") {
  Stage stage;
  for (int i = 0; i < 200; ++i) stage.client.make_file(file(i));
  stage.client.replies_are_slow = true;
  const auto names = stage.client.listing("/d");
  std::size_t accessed = 0;
  while (stage.client.count(Procedure::readdirplus) == 0) {
    stage.access("/d/" + names[accessed++], 5);
    stage.engine.pump();
    while (stage.client.count(Procedure::readdirplus) == 0 && stage.client.deliver()) continue;
  }
  stage.moved("/d", "/e", 6);
  stage.access("/another", 7);  // with which the news comes
  stage.run();
  for (std::size_t i = accessed; i < names.size(); ++i) {
    stage.client.make_file("/d/" + names[i]);
    stage.access("/d/" + names[i], 7);
    stage.run();
    CHECK(stage.client.atime("/e/" + names[i]) == Time{});
    CHECK(stage.client.atime("/d/" + names[i]) == at(7));
  }
}

TEST_CASE("NamesOneByOneInNoOrderCostLittleMoreThanLookups", "[apply]") {
  constexpr int kFiles = 20'000;
  Stage stage;
  for (int i = 0; i < kFiles; ++i) stage.client.make_file(file(i));
  for (int i = 0; i < 3000; ++i) {
    stage.access(file(i * 7919 % kFiles), 5);
    stage.clock.advance(std::chrono::milliseconds{1});
    stage.run();
  }
  CHECK(stage.applied() == 3000);
  CHECK(stage.client.count(Procedure::readdirplus) <= 6);
  CHECK(stage.client.requests.size() <= 2 * 3000 + 10);
}

TEST_CASE("AScanBehindTheLastOneThatFindsNothingBeginsAgain", "[apply]") {
  Stage stage;
  for (int i = 0; i < 2000; ++i) stage.client.make_file(file(i));
  const auto names = stage.client.listing("/d");
  for (std::size_t i = 0; i < 1000; ++i) stage.access("/d/" + names[i], 5);
  stage.run();
  SECTION("and so does one whose cookie is no longer good") { ++stage.client.verifier; }
  stage.client.requests.clear();
  for (std::size_t i = 0; i < 1000; ++i) stage.access("/d/" + names[i], 9);
  stage.run();
  CHECK(stage.client.atime("/d/" + names[999]) == at(9));
  CHECK(stage.client.requests.size() <= 1100);
}

TEST_CASE("AScanGoesOnWhereTheLastOneStopped", "[apply]") {
  Stage stage;
  for (int i = 0; i < 2000; ++i) stage.client.make_file(file(i));
  const auto names = stage.client.listing("/d");
  for (std::size_t i = 0; i < 2000; ++i) {
    stage.access("/d/" + names[i], 5);
    if (i % 500 == 499) stage.run();
  }
  CHECK(are_set(stage, 2000));
  CHECK(stage.client.requests.size() <= 2200);
}

TEST_CASE("ADirectoryOfWhichLittleIsWantedIsNotReadAgainSoon", "[apply]") {
  Stage stage;
  constexpr int kFiles = 10'000;
  const int wanted = GENERATE(10, 100);
  for (int i = 0; i < kFiles; ++i) stage.client.make_file(file(i));
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < wanted; ++i) stage.access(file((round * 7 + i * (kFiles / wanted)) % kFiles), 5 + round);
    stage.run();
    stage.clock.advance(std::chrono::seconds{10});
  }
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.client.count(Procedure::readdirplus) == 1);

  SECTION("but after an hour") {
    stage.clock.advance(std::chrono::hours{1});
    for (int i = 0; i < wanted; ++i) stage.access(file(i * (kFiles / wanted)), 1000);
    stage.run();
    CHECK(stage.client.count(Procedure::readdirplus) == 2);
  }
  SECTION("but when many more names wait") {
    const std::size_t before = stage.client.requests.size();
    for (int i = 0; i < kFiles; ++i) stage.access(file(i), 1000);
    stage.run();
    CHECK((stage.client.requests.size() - before) * 10 <= std::size_t{kFiles} * 11);
  }
  CHECK(stage.adds_up());
}

TEST_CASE("OnePercentOfADirectoryCostsOneSmallPageMoreThanLookups", "[apply]") {
  Stage stage;
  prepare(stage, 10'000, 100);
  stage.run();
  CHECK(are_set(stage, 100));
  CHECK(stage.client.count(Procedure::readdirplus) <= 1);
  CHECK(stage.client.requests.size() <= 1 + 1 + 1 + 100 + 100);
  for (const auto& request : stage.client.requests) CHECK(request.size <= 8192);
}

TEST_CASE("ADirectoryWithFewWaitingNamesIsNotRead", "[apply]") {
  Stage stage;
  prepare(stage, 1000, kFewestNames - 1);
  stage.run();
  CHECK(are_set(stage, kFewestNames - 1));
  CHECK(stage.client.count(Procedure::readdirplus) == 0);
}

TEST_CASE("WithReaddirplusOffNoDirectoryIsRead", "[apply]") {
  auto stage = Stage::without_readdirplus();
  prepare(stage, 500, 500);
  stage.run();
  CHECK(are_set(stage, 500));
  CHECK(stage.client.count(Procedure::readdirplus) == 0);
}

TEST_CASE("TheRootOfAnExportIsReadAsOtherDirectoriesAre", "[apply]") {
  Stage stage{{"/exp"}};
  prepare(stage, 500, 500, "/exp");
  stage.access("/exp", 5);
  stage.run();
  CHECK(are_set(stage, 500, "/exp"));
  CHECK(stage.client.atime("/exp") == at(5));
  CHECK(stage.client.count(Procedure::lookup) == 0);
}

TEST_CASE("NamesThatNoPageShowedAreLookedUp", "[apply]") {
  Stage stage;
  prepare(stage, 900, 1000);
  stage.run_for(std::chrono::seconds{10});
  CHECK(are_set(stage, 900));
  CHECK(stage.failed("noent") == 100);
  CHECK(stage.client.count(Procedure::lookup, file(950)) == 2);  // now, and after the time in which news come
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryIsReadNoFurtherThanItsEnd", "[apply]") {
  Stage stage;
  prepare(stage, 30, 40);
  stage.run();
  CHECK(are_set(stage, 30));
  CHECK(stage.client.count(Procedure::readdirplus) == 1);
}

TEST_CASE("EntriesWithoutHandleAreLookedUp", "[apply]") {
  Stage stage;
  stage.client.handles_in_pages = false;
  prepare(stage, 500, 500);
  stage.run();
  CHECK(are_set(stage, 500));
  CHECK(stage.client.count(Procedure::readdirplus) == 1);
  CHECK(stage.client.count(Procedure::lookup) == 1 + 500);
}

TEST_CASE("EntriesWithoutAttributesAreRead", "[apply]") {
  Stage stage;
  stage.client.attributes_in_pages = false;
  prepare(stage, 500, 500);
  stage.run();
  CHECK(are_set(stage, 500));
  CHECK(stage.client.count(Procedure::getattr) == 500 + 1);  // that of the directory
  CHECK(stage.client.count(Procedure::lookup) == 1);
}

TEST_CASE("ADirectoryWhoseAtimeOurReadingMovesGetsItBack", "[apply]") {
  Stage stage;
  stage.client.make_directory("/d");
  stage.client.set_atime_of("/d", at(3));
  stage.client.reads_at = at(1'000'000);
  prepare(stage, 100, 100);
  stage.run();
  CHECK(are_set(stage, 100));
  CHECK(stage.client.atime("/d") == at(3));
  CHECK(stage.client.count(Procedure::readdirplus) == 1);
  CHECK(stage.applied() == 100);
  CHECK(stage.engine.work() == 0);

  SECTION("the export has no more scans") {
    prepare(stage, 100, 100, "/e");
    stage.run();
    CHECK(are_set(stage, 100, "/e"));
    CHECK(stage.client.count(Procedure::readdirplus) == 1);
  }
  SECTION("an access of the directory is set as ever") {
    stage.access("/d", 5);
    stage.run();
    CHECK(stage.client.atime("/d") == at(5));
  }
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

// As nfs-ganesha does.
TEST_CASE("ADirectoryGetsItsAtimeBackWherePagesReportTheOldOne", "[apply]") {
  Stage stage;
  stage.client.reads_at = at(1'000'000);
  stage.client.pages_are_late = true;
  prepare(stage, 20, 20);
  stage.run();
  CHECK(are_set(stage, 20));
  CHECK(stage.client.atime("/d") == Time{});
  CHECK(stage.client.violations.empty());
}

TEST_CASE("AnAccessOfADirectoryThatIsBeingReadIsNotTakenForOld", "[apply]") {
  Stage stage;
  std::minstd_rand random{GENERATE(range(1U, 20U))};
  stage.client.reads_at = at(1'000'000);
  stage.access("/d", 4);
  prepare(stage, 100, 100);
  stage.engine.pump();
  while (stage.client.deliver_any(random)) stage.engine.pump();
  CHECK(are_set(stage, 100));
  CHECK(stage.client.atime("/d") == at(4));
  CHECK(stage.applied() == 101);
  CHECK(stage.client.violations.empty());
}

TEST_CASE("ADirectoryThatOthersSetAfterOurReadingKeepsTheirs", "[apply]") {
  Stage stage;
  stage.client.reads_at = at(1'000'000);
  prepare(stage, 100, 100);
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure == Procedure::getattr && request.path == "/d") stage.client.set_atime_of("/d", at(9));
    return {};
  };
  stage.run();
  CHECK(stage.client.atime("/d") == at(9));
  CHECK(are_set(stage, 100));
}

TEST_CASE("ADirectoryThatOthersSetWhileItIsReadKeepsTheirs", "[apply]") {
  Stage stage;
  prepare(stage, 100, 100);
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure == Procedure::readdirplus) stage.client.set_atime_of("/d", at(9));
    return {};
  };
  stage.run();
  CHECK(stage.client.atime("/d") == at(9));
  CHECK(stage.client.count(Procedure::setattr, "/d") == 0);
  CHECK(are_set(stage, 100));
}

TEST_CASE("ADirectoryGetsItsAtimeBackOverALostConnection", "[apply]") {
  Stage stage;
  stage.client.reads_at = at(1'000'000);
  prepare(stage, 100, 100);
  stage.engine.pump();
  while (stage.client.count(Procedure::getattr, "/d") == 0) REQUIRE(stage.client.deliver());
  stage.client.disconnect();
  stage.client.connected = true;
  stage.run_for(std::chrono::seconds{10});
  CHECK(stage.client.atime("/d") == Time{});
  CHECK(are_set(stage, 100));
}

TEST_CASE("WithoutMovedAtimesADirectoryIsNotTouched", "[apply]") {
  Stage stage;
  prepare(stage, 100, 100);
  stage.run();
  CHECK(stage.client.count(Procedure::setattr, "/d") == 0);
  CHECK(stage.client.count(Procedure::getattr) == 1);
  prepare(stage, 100, 100, "/e");  // the first has shown enough
  stage.run();
  CHECK(are_set(stage, 100, "/e"));
  CHECK(stage.client.count(Procedure::getattr) == 1);
}

TEST_CASE("WhatIsNewerAlreadyStaysUnchangedByAPage", "[apply]") {
  Stage stage;
  prepare(stage, 100, 100);
  for (int i = 0; i < 50; ++i) stage.client.set_atime_of(file(i), at(9));
  stage.run();
  CHECK(stage.client.atime(file(0)) == at(9));
  CHECK(stage.unchanged() == 50);
  CHECK(stage.applied() == 50);
}

TEST_CASE("AFileThatChangesBehindItsPageIsLookedUp", "[apply]") {
  Stage stage;
  prepare(stage, 40, 40);
  stage.engine.pump();
  while (stage.client.count(Procedure::setattr) == 0) REQUIRE(stage.client.deliver());
  stage.client.set_atime_of(file(7), at(9));
  stage.run();
  CHECK(stage.client.atime(file(7)) == at(9));
  CHECK(stage.client.count(Procedure::lookup, file(7)) == 1);
  CHECK(stage.unchanged() == 1);
  CHECK(stage.client.violations.empty());
}

TEST_CASE("APageThatFailsEndsTheScanAndNothingElse", "[apply]") {
  const auto status = GENERATE(Status::notsupp, Status::toosmall, Status::serverfault, Status::bad_cookie,
                               Status::garbage, Status::timeout, Status::lost, Status::jukebox, Status::stale,
                               Status::acces, Status::io, Status::notdir, Status::noent);
  const int fails_after = GENERATE(0, 1);
  Stage stage;
  prepare(stage, 500, 500);
  int pages = 0;
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<Status> {
    if (request.procedure != Procedure::readdirplus || pages++ < fails_after) return {};
    return status;
  };
  stage.run();
  CHECK(are_set(stage, 500));
  CHECK(pages == fails_after + 1);
  CHECK(stage.applied() == 500);
  CHECK(stage.failed() == 0);
}

TEST_CASE("AServerWithoutReaddirplusIsAskedOnce", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    return request.procedure == Procedure::readdirplus ? std::optional{Status::notsupp} : std::nullopt;
  };
  for (const std::string directory : {"/a", "/b", "/c"}) {
    prepare(stage, 100, 100, directory);
    stage.run_for(std::chrono::minutes{10});
    CHECK(are_set(stage, 100, directory));
  }
  CHECK(stage.client.count(Procedure::readdirplus) == 1);
}

TEST_CASE("AfterAPageThatFailedForNoReasonOfItsDirectoryThereAreNoneForAMinute", "[apply]") {
  const auto status = GENERATE(Status::toosmall, Status::serverfault, Status::garbage, Status::timeout);
  Stage stage;
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<Status> {
    return request.procedure == Procedure::readdirplus ? std::optional{status} : std::nullopt;
  };
  prepare(stage, 100, 100, "/a");
  stage.run_for(std::chrono::seconds{59});
  prepare(stage, 100, 100, "/b");
  stage.run();
  CHECK(stage.client.count(Procedure::readdirplus) == 1);
  stage.clock.advance(std::chrono::seconds{2});
  prepare(stage, 100, 100, "/c");
  stage.run();
  CHECK(stage.client.count(Procedure::readdirplus) == 2);
  CHECK(stage.applied() == 300);
}

TEST_CASE("CookiesThatAreNoLongerGoodEndTheScan", "[apply]") {
  Stage stage;
  prepare(stage, 500, 500);
  deliver_first_page(stage);
  ++stage.client.verifier;
  stage.run();
  CHECK(are_set(stage, 500));
  CHECK(stage.applied() == 500);
}

TEST_CASE("AStaleDirectoryIsResolvedAgain", "[apply]") {
  Stage stage;
  prepare(stage, 500, 500);
  deliver_first_page(stage);
  stage.client.forget_handles();
  stage.run_for(std::chrono::seconds{5});
  CHECK(are_set(stage, 500));
  CHECK(stage.client.count(Procedure::lookup, "/d") >= 2);
}

TEST_CASE("NamesThatComeAndGoBetweenPagesAreServed", "[apply]") {
  Stage stage;
  prepare(stage, 500, 500);
  deliver_first_page(stage);
  for (int i = 400; i < 450; ++i) stage.removed(file(i), 6);
  for (int i = 500; i < 600; ++i) {
    stage.client.make_file(file(i));
    stage.access(file(i), 5);
  }
  stage.run_for(std::chrono::seconds{5});
  CHECK(are_set(stage, 400));
  for (int i = 450; i < 600; ++i) CHECK(stage.client.atime(file(i)) == at(5));
  CHECK(stage.failed() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("ANameThatChangesHandsDuringAScanKeepsItsAccesses", "[apply]") {
  Stage stage;
  prepare(stage, 500, 500);
  stage.engine.pump();
  stage.client.make_file("/other");
  // The first page is under way: file 7 goes elsewhere, and another gets its name.
  stage.moved(file(7), "/e/seven", 6);
  stage.moved("/other", file(7), 6);
  stage.run_for(std::chrono::seconds{5});
  CHECK(stage.client.atime("/e/seven") == at(5));
  CHECK(stage.client.atime(file(7)) == Time{});
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryThatMovesDuringItsScanKeepsItsAccesses", "[apply]") {
  Stage stage;
  stage.client.handles_in_pages = GENERATE(true, false);  // if not, the directory moves while its names are looked up
  prepare(stage, 500, 500);
  deliver_first_page(stage);
  stage.moved("/d", "/e", 6);
  for (int i = 0; i < 500; ++i) stage.client.make_file(file(i));  // another directory with the same names
  stage.run_for(std::chrono::seconds{5});
  CHECK(are_set(stage, 500, "/e"));
  for (int i = 0; i < 500; ++i) CHECK(stage.client.atime(file(i)) == Time{});
  CHECK(stage.adds_up());
}

TEST_CASE("ADirectoryThatMovesDuringTheLastLookAtItIsLookedAtOnce", "[apply]") {
  constexpr std::size_t kFiles = 5000;
  Stage stage;
  for (std::size_t i = 0; i < kFiles; ++i) stage.client.make_file("/d/" + std::to_string(i));
  for (std::size_t i = 0; i < 500; ++i) stage.access("/d/" + std::to_string(i * 10), 5);  // too few for more pages
  stage.engine.pump();
  const auto looks = [&] { return stage.client.count(Procedure::getattr, "/d"); };
  while (stage.client.count(Procedure::readdirplus) == 0) REQUIRE(stage.client.deliver());
  const auto before = looks();
  while (looks() == before) REQUIRE(stage.client.deliver());
  stage.moved("/d", "/e", 6);
  stage.engine.pump();
  while (stage.client.outstanding() > 1) REQUIRE(stage.client.deliver_newest());  // the look stays
  stage.run();
  CHECK(stage.client.count(Procedure::getattr, "/d") + stage.client.count(Procedure::getattr, "/e") == before + 1);
  CHECK(stage.applied() == 500);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("TheScanOfAHugeDirectoryHoldsNobodyUp", "[apply]") {
  Stage stage;
  stage.client.limit = 4;
  prepare(stage, 3000, 3000);
  stage.engine.pump();
  stage.client.make_file("/other/f");
  stage.access("/other/f", 6);
  stage.engine.pump();
  while (stage.client.atime("/other/f") != at(6)) REQUIRE(stage.client.deliver());
  CHECK(stage.applied() < 400);
  stage.run();
  CHECK(are_set(stage, 3000));
}

TEST_CASE("NamesToBeLookedUpAfterAScanHoldNobodyUp", "[apply]") {
  Stage stage;
  stage.client.limit = 4;
  for (int i = 0; i < 3000; ++i) stage.access(file(i), 5);
  stage.client.make_directory("/d");
  stage.engine.pump();
  while (stage.client.count(Procedure::readdirplus) == 0) REQUIRE(stage.client.deliver());
  stage.client.make_file("/other/f");
  stage.access("/other/f", 6);
  while (stage.client.atime("/other/f") != at(6)) REQUIRE(stage.client.deliver());
  CHECK(stage.client.count(Procedure::lookup) < 400);
}

TEST_CASE("EntriesInScansAreBounded", "[apply]") {
  Stage stage;
  for (int d = 0; d < 6; ++d) {
    for (int i = 0; i < 10'000; ++i) stage.access(file(i, "/d" + std::to_string(d)), 5);
  }
  stage.engine.pump();
  CHECK(stage.engine.work() >= DirectoryScans::kMostEntries);
  CHECK(stage.engine.work() <= DirectoryScans::kMostEntries + 256);
}

TEST_CASE("ScansUnderWayAreBoundedAsOtherWorkIs", "[apply]") {
  Stage stage;
  stage.client.limit = 16;
  for (int d = 0; d < 100; ++d) prepare(stage, 100, 100, "/d" + std::to_string(d));
  stage.engine.pump();
  CHECK(stage.engine.work() == 200);  // two directories, from which as much is expected as from 4 * 16 names
  stage.run();
  CHECK(stage.applied() == 10'000);
}

TEST_CASE("ScansOfASuspendedExportWaitInTheBacklog", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<Status> {
    return request.procedure == Procedure::setattr ? std::optional{Status::rofs} : std::nullopt;
  };
  for (const std::string directory : {"/a", "/b", "/c"}) prepare(stage, 1000, 1000, directory);
  stage.run_for(std::chrono::seconds{30});
  CHECK(stage.degraded("read_only") == 1);
  CHECK(stage.engine.work() <= 1);
  CHECK(stage.backlog.pending() == 3000);
  CHECK(stage.client.count(Procedure::setattr) < 1500);  // nobody tries all of them
  stage.client.script = {};
  stage.run_for(std::chrono::seconds{30});
  for (const std::string directory : {"/a", "/b", "/c"}) CHECK(are_set(stage, 1000, directory));
  CHECK(stage.failed() == 0);
}

TEST_CASE("ALostServerLosesNothingOfAScan", "[apply]") {
  Stage stage;
  prepare(stage, 1000, 1000);
  deliver_first_page(stage);
  stage.client.disconnect();
  stage.run_for(std::chrono::seconds{1});
  stage.client.connected = true;
  stage.run_for(std::chrono::seconds{5});
  CHECK(are_set(stage, 1000));
  CHECK(stage.adds_up());
}

}  // namespace
}  // namespace qatime::apply::directory_scan_test

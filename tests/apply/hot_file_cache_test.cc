// SPDX-License-Identifier: MIT
// Files that are accessed again and again.
#include "apply/hot_file_cache.h"

#include <chrono>
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::hot_file_cache_test {
namespace {

// A file that was accessed in three seconds running, up to 2; the third access showed that guards are exact.
struct Hot : Stage {
  explicit Hot(const std::string& path = "/d/f") {
    client.make_file(path);
    for (const int second : {0, 1, 2}) {
      access(path, second);
      run();
    }
    client.requests.clear();
  }

  void access_and_run(const std::string& path, int second) {
    access(path, second);
    run();
  }
};

TEST_CASE("AFileThatIsAccessedAgainAndAgainIsNotLookedUpEachTime", "[apply]") {
  Hot stage;
  for (int second = 3; second < 13; ++second) {
    stage.access_and_run("/d/f", second);
    CHECK(stage.client.atime("/d/f") == at(second));
    CHECK(stage.client.requests.back().guard);
  }
  CHECK(stage.client.requests.size() == 10);
  CHECK(stage.client.count(Procedure::setattr) == 10);
  CHECK(stage.applied() == 13);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("ItIsLookedUpAgainWhenItsTimeToLiveIsOver", "[apply]") {
  Hot stage;
  stage.clock.advance(HotFileCache::kTtl - std::chrono::milliseconds{1});
  stage.access_and_run("/d/f", 3);
  CHECK(stage.client.count(Procedure::lookup) == 0);
  stage.clock.advance(std::chrono::milliseconds{1});
  stage.access_and_run("/d/f", 4);
  CHECK(stage.client.count(Procedure::lookup, "/d/f") == 1);
  CHECK(stage.client.atime("/d/f") == at(4));
}

TEST_CASE("AFileThatIsAccessedSeldomIsNotRemembered", "[apply]") {
  Hot stage;
  stage.access_and_run("/d/g", 1);  // which is not there
  stage.client.make_file("/d/h");
  for (const int second : {1, 4, 7}) stage.access_and_run("/d/h", second);
  CHECK(stage.client.count(Procedure::lookup, "/d/h") == 3);
}

TEST_CASE("AfterALongStepOfAnotherRequestItIsLookedUp", "[apply]") {
  Hot stage;
  stage.clock.advance(HotFileCache::kTtl - std::chrono::milliseconds{500});
  for (int i = 0; i < 20; ++i) {  // so that the directory is read
    stage.client.make_file("/d/" + std::to_string(i));
    stage.access("/d/" + std::to_string(i), 20);
  }
  stage.access_and_run("/d/f", 20);
  REQUIRE(stage.client.count(Procedure::readdirplus) > 0);
  stage.client.requests.clear();
  stage.access_and_run("/d/f", 21);
  for (const auto& request : stage.client.requests) {
    CHECK((request.procedure != Procedure::setattr || request.path != "/d/f" || request.atime == at(21)));
  }
  CHECK(stage.client.requests.size() == 2);
  CHECK(stage.client.atime("/d/f") == at(21));
}

TEST_CASE("NothingIsUnchangedWithoutALook", "[apply]") {
  Hot stage;
  stage.access_and_run("/d/f", 2);
  CHECK(stage.unchanged() == 1);
  CHECK(stage.client.count(Procedure::lookup, "/d/f") == 1);
}

TEST_CASE("AHotFileThatSomebodyElseChangesIsLookedUp", "[apply]") {
  Hot stage;
  stage.client.touch_ctime("/d/f");
  stage.access_and_run("/d/f", 3);
  CHECK(stage.client.requests.size() == 3);  // one SETATTR too many
  CHECK(stage.client.count(Procedure::lookup, "/d/f") == 1);
  CHECK(stage.client.atime("/d/f") == at(3));
  stage.access_and_run("/d/f", 4);  // lest that happens each time
  CHECK(stage.client.requests.size() == 3 + 2);
  stage.client.set_atime_of("/d/f", at(20));
  stage.access_and_run("/d/f", 5);
  CHECK(stage.client.atime("/d/f") == at(20));
  CHECK(stage.unchanged() == 1);
  CHECK(stage.client.violations.empty());
}

// Of which no record has come yet.
TEST_CASE("AHotNameThatAnotherFileHasNowIsLookedUp", "[apply]") {
  Hot stage;
  SECTION("the old one was renamed") { stage.client.rename("/d/f", "/d/old"); }
  SECTION("the old one has another link") {
    stage.client.link("/d/f", "/d/old");
    stage.client.remove("/d/f");
  }
  stage.client.make_file("/d/f");
  stage.access_and_run("/d/f", 3);
  CHECK(stage.client.atime("/d/f") == at(3));
  CHECK(stage.client.atime("/d/old") == at(2));
}

TEST_CASE("AHotFileThatIsRemovedIsLookedUp", "[apply]") {
  Hot stage;
  stage.client.remove("/d/f");
  stage.client.make_file("/d/f");
  stage.access_and_run("/d/f", 3);
  CHECK(stage.client.atime("/d/f") == at(3));
  CHECK(stage.adds_up());
}

// Which no guard would show.
TEST_CASE("AfterTheRecordOfARenameAboveAHotFileItIsLookedUp", "[apply]") {
  Hot stage;
  stage.moved("/d", "/e", 3);
  stage.client.make_file("/d/f");
  stage.access_and_run("/d/f", 4);
  CHECK(stage.client.atime("/d/f") == at(4));
  CHECK(stage.client.atime("/e/f") == at(2));
}

TEST_CASE("WhatARenameOvertakesIsNotRemembered", "[apply]") {
  Hot stage{"/d/other"};
  stage.client.make_file("/d/f");
  stage.access_and_run("/d/f", 1);
  stage.access("/d/f", 2);
  stage.engine.pump();
  REQUIRE(stage.client.deliver());  // LOOKUP; the SETATTR is on its way
  stage.moved("/d", "/e", 3);
  stage.client.make_file("/d/f");
  stage.client.make_file("/g");
  stage.access_and_run("/g", 3);  // with which the engine hears of the rename
  CHECK(stage.client.atime("/e/f") == at(2));
  stage.access_and_run("/d/f", 4);
  CHECK(stage.client.atime("/d/f") == at(4));
  CHECK(stage.client.atime("/e/f") == at(2));
}

TEST_CASE("WithoutGuardsNothingIsRemembered", "[apply]") {
  Stage stage;
  stage.client.guards = false;
  stage.client.make_file("/f");
  for (int second = 1; second < 10; ++second) {
    stage.access("/f", second);
    stage.run();
  }
  CHECK(stage.client.count(Procedure::lookup, "/f") >= 9);
  CHECK(stage.client.atime("/f") == at(9));
}

TEST_CASE("WhereGuardsAreCoarseAHotFileIsLookedUpEachTime", "[apply]") {
  Stage stage;
  stage.client.guards_by_seconds = true;
  stage.client.make_file("/f");
  for (int second = 1; second < 10; ++second) {
    stage.access("/f", second);
    stage.run();
  }
  CHECK(stage.client.count(Procedure::lookup, "/f") >= 9);
  stage.client.rename("/f", "/old");  // within the second of its last change, and without a record yet
  stage.client.make_file("/f");
  stage.access("/f", 11);
  stage.run();
  CHECK(stage.client.atime("/old") == at(9));
  CHECK(stage.client.atime("/f") == at(11));
  CHECK(stage.client.violations.empty());
}

TEST_CASE("ThatGuardsAreExactIsFoundOutOnce", "[apply]") {
  Hot stage;
  stage.client.make_file("/d/g");
  for (int second = 1; second < 5; ++second) stage.access_and_run("/d/g", second);
  CHECK(stage.client.count(Procedure::setattr) == 4);
}

TEST_CASE("AfterAHotFilesRequestWasLostItIsLookedUp", "[apply]") {
  Hot stage;
  stage.access("/d/f", 3);
  stage.engine.pump();
  REQUIRE(stage.client.outstanding() == 1);
  stage.client.complete_oldest(nfs::Status::timeout, FakeClient::Execution::late);
  stage.run_for(std::chrono::seconds{1});
  stage.access_and_run("/d/f", 4);
  stage.client.deliver_late();
  CHECK(stage.client.count(Procedure::lookup, "/d/f") >= 1);
  CHECK(stage.client.atime("/d/f") == at(4));
  CHECK(stage.client.violations.empty());
}

TEST_CASE("ADirectoryOfHotFilesIsNotRead", "[apply]") {
  Stage stage;
  for (int second = 0; second < 5; ++second) {
    if (second == 3) stage.client.requests.clear();
    for (int number = 0; number < 100; ++number) {
      const std::string path = "/d/" + std::to_string(number);
      if (second == 0) stage.client.make_file(path);
      stage.access(path, second);
    }
    stage.run();
  }
  CHECK(stage.client.requests.size() == 2 * 100);
  CHECK(stage.applied() == 5 * 100);
  CHECK(stage.client.violations.empty());
}

}  // namespace
}  // namespace qatime::apply::hot_file_cache_test

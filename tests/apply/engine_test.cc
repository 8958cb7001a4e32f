// SPDX-License-Identifier: MIT
// The way of an entry while all is well.
#include <string>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::engine_test {
namespace {

TEST_CASE("AnAccessSetsTheAtimeAndNothingElse", "[apply]") {
  Stage stage;
  stage.client.make_file("/a/b/f");
  stage.access("/a/b/f", 5);
  stage.run();
  CHECK(stage.client.atime("/a/b/f") == at(5));
  CHECK(stage.client.mtime("/a/b/f") == Time{});
  CHECK(stage.client.count(Procedure::setattr) == 1);
  CHECK(stage.client.requests.back().guard);
  CHECK(stage.applied() == 1);
  CHECK(stage.engine.work() == 0);
  CHECK(stage.backlog.pending() == 0);
  CHECK(stage.adds_up());
}

TEST_CASE("AtimeNeverGoesBackwards", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.client.make_file("/g");
  stage.client.set_atime_of("/f", at(10));
  stage.client.set_atime_of("/g", at(5));
  stage.access("/f", 5);
  stage.access("/g", 5);
  stage.run();
  CHECK(stage.client.atime("/f") == at(10));
  CHECK(stage.client.count(Procedure::setattr) == 0);
  CHECK(stage.unchanged() == 2);
  CHECK(stage.adds_up());
}

TEST_CASE("LookupWithoutAttributesIsFollowedByGetattr", "[apply]") {
  Stage stage;
  stage.client.attributes_in_lookup = false;
  stage.client.make_file("/d/f");
  stage.access("/d/f", 5);
  stage.run();
  CHECK(stage.client.atime("/d/f") == at(5));
  CHECK(stage.client.count(Procedure::getattr, "/d/f") == 1);
}

TEST_CASE("TheRootOfAnExportIsReadInsteadOfLookedUp", "[apply]") {
  Stage stage{{"/", "/exp"}};
  stage.access("/exp", 5);
  stage.access("/", 6);
  stage.run();
  CHECK(stage.client.atime("/exp") == at(5));
  CHECK(stage.client.atime("/") == at(6));
  CHECK(stage.client.count(Procedure::lookup) == 0);
}

TEST_CASE("EachRequestNamesTheExportOfItsObject", "[apply]") {
  Stage stage{{"/a", "/b"}};
  stage.client.attributes_in_lookup = false;
  for (const std::string root : {"/a", "/b"}) {
    stage.client.make_file(root + "/d/f");
    stage.access(root + "/d/f", 5);
    for (int i = 0; i < 20; ++i) {
      const std::string path = root + "/many/" + std::to_string(i);
      stage.client.make_file(path);
      stage.access(path, 5);
    }
  }
  stage.run();
  CHECK(stage.applied() == 2 * 21);
  for (const auto procedure : {Procedure::lookup, Procedure::getattr, Procedure::setattr, Procedure::readdirplus}) {
    CHECK(stage.client.count(procedure) > 0);
  }
  for (const auto& request : stage.client.requests) {
    CAPTURE(request.path);
    CHECK(request.export_index == (request.path.starts_with("/a/") ? 0 : 1));
  }
}

TEST_CASE("ComponentsOfAnExportsOwnPathAreNeverLookedUp", "[apply]") {
  Stage stage{{"/x/exp"}};
  stage.client.make_file("/x/exp/d/f");
  stage.access("/x/exp/d/f", 5);
  stage.run();
  CHECK(stage.client.atime("/x/exp/d/f") == at(5));
  CHECK(stage.client.count(Procedure::lookup, "/x/exp/d") == 1);
  CHECK(stage.client.count(Procedure::lookup) == 2);
}

TEST_CASE("AWarmDirectoryCostsTwoRequestsPerFileWithoutReaddirplus", "[apply]") {
  auto stage = Stage::without_readdirplus();
  for (int i = 0; i < 1000; ++i) {
    const std::string path = "/a/b/c/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
  }
  stage.run();
  CHECK(stage.applied() == 1000);
  CHECK(stage.client.requests.size() == 3 + 2 * 1000);
  CHECK(stage.client.violations.empty());
}

TEST_CASE("RequestsFillTheRoomAndNoMore", "[apply]") {
  auto stage = Stage::without_readdirplus();
  for (int i = 0; i < 100; ++i) {
    const std::string path = "/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
  }
  stage.client.limit = 7;
  stage.engine.pump();
  CHECK(stage.client.outstanding() == 7);
  CHECK(stage.engine.work() <= std::size_t{4 * 7});
  stage.run();
  CHECK(stage.applied() == 100);
  CHECK(stage.client.violations.empty());
}

TEST_CASE("RepliesThatComeTogetherAreFollowedByRequestsThatGoTogether", "[apply]") {
  Stage stage = Stage::without_readdirplus();
  for (int i = 0; i < 9; ++i) {
    stage.client.make_file("/f" + std::to_string(i));
    stage.access("/f" + std::to_string(i), 5);
  }
  stage.client.limit = 4;
  stage.client.together = 3;
  stage.run_for(std::chrono::milliseconds{0});
  CHECK(stage.applied() == 9);
  stage.client.set_atime_of("/f0", at(5));
  for (int i = 0; i < 9; ++i) stage.access("/f" + std::to_string(i), 6);
  stage.engine.pump();
  const std::size_t started = stage.client.requests.size();
  for (int i = 0; i < 2; ++i) {
    stage.client.deliver();
    CHECK(stage.client.requests.size() == started);
  }
  stage.client.deliver();
  CHECK(stage.client.requests.size() == started + 3);
}

TEST_CASE("TheClientsRoomIsAskedForOnceForManyEntries", "[apply]") {
  Stage stage = Stage::without_readdirplus();
  stage.client.make_file("/f");
  stage.access("/f", 1);
  stage.run();
  const std::size_t asked = stage.client.rooms_asked;
  constexpr int kAccesses = 100;  // one at a time: there is never enough work
  for (int i = 0; i < kAccesses; ++i) {
    stage.access("/f", 2 + i);
    stage.run();
  }
  CHECK(stage.applied() == 1 + kAccesses);
  CHECK(stage.client.rooms_asked - asked < kAccesses / 10);
}

TEST_CASE("EntriesThatWaitForOneLookupAreBounded", "[apply]") {
  auto stage = Stage::without_readdirplus();
  stage.client.limit = 4;
  for (int i = 0; i < 1000; ++i) stage.access("/d/" + std::to_string(i), 5);
  stage.engine.pump();
  CHECK(stage.client.outstanding() == 1);
  CHECK(stage.engine.work() == std::size_t{4 * 4});
  stage.client.limit = 2;  // of two servers, one is lost
  stage.engine.pump();
  CHECK(stage.engine.work() == std::size_t{4 * 4});
}

TEST_CASE("OneHugeDirectoryHoldsNobodyUp", "[apply]") {
  auto stage = Stage::without_readdirplus();
  stage.client.limit = 4;
  for (int i = 0; i < 1000; ++i) {
    stage.client.make_file("/huge/" + std::to_string(i));
    stage.access("/huge/" + std::to_string(i), 5);
  }
  stage.client.make_file("/other/f");
  stage.access("/other/f", 6);
  stage.engine.pump();
  while (stage.client.atime("/other/f") != at(6)) REQUIRE(stage.client.deliver());
  CHECK(stage.applied() < 300);
}

TEST_CASE("ExportsTakeTurns", "[apply]") {
  Stage stage{{"/a", "/b"}};
  stage.client.limit = 2;
  for (int i = 0; i < 1000; ++i) {
    stage.client.make_file("/a/" + std::to_string(i) + "/f");
    stage.access("/a/" + std::to_string(i) + "/f", 5);
  }
  stage.client.make_file("/b/f");
  stage.access("/b/f", 6);
  stage.engine.pump();
  while (stage.client.atime("/b/f") != at(6)) REQUIRE(stage.client.deliver());
  CHECK(stage.applied() < 20);
}

TEST_CASE("AnExportThatHangsHoldsNoOtherUp", "[apply]") {
  constexpr int kFiles = 2000;
  NfsConfig config;
  config.max_rate = GENERATE(0U, 100U);
  config.exports = {{"/a", "/a"}, {"/b", "/b"}};
  Stage stage{config};
  stage.client.share = 48;
  stage.client.hangs = {0};
  for (int i = 0; i < kFiles; ++i) {  // one directory to be listed, and many to be looked up
    const std::string name = std::to_string(i);
    for (const std::string& path : {"/a/d/" + name, "/a/" + name + "/f"}) {
      stage.client.make_file(path);
      stage.access(path, 5);
    }
  }
  stage.run_for(std::chrono::seconds{10});
  for (int i = 0; i < 100; ++i) {
    const std::string path = "/b/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 6);
    stage.run_for(std::chrono::milliseconds{100});
    CHECK(stage.client.atime(path) == at(6));
  }
  stage.client.hangs.clear();
  stage.run_for(std::chrono::minutes{1});
  CHECK(stage.applied() == 100 + 2 * kFiles);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("ANewerTimeThatArrivesInFlightIsAppliedAfterwards", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f", 5);
  stage.engine.pump();
  stage.access("/f", 7);
  stage.access("/f", 6);
  stage.run();
  CHECK(stage.client.atime("/f") == at(7));
  CHECK(stage.applied() == 2);
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("HardLinksAreSetOneAfterTheOtherAndNeverBackwards", "[apply]") {
  Stage stage;
  stage.client.make_file("/d/one");
  stage.client.link("/d/one", "/d/two");
  stage.client.link("/d/one", "/e/three");
  stage.access("/d/one", 7);
  stage.access("/d/two", 5);
  stage.access("/e/three", 9);
  stage.run();
  CHECK(stage.client.atime("/d/one") == at(9));
  CHECK(stage.client.violations.empty());
  CHECK(stage.applied() + stage.unchanged() == 3);
  CHECK(stage.unchanged() == 1);
  CHECK(stage.client.count(Procedure::setattr) == 2);
  CHECK(stage.adds_up());
}

TEST_CASE("AnotherWritersTouchMeansLookAgain", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f", 5);
  stage.engine.pump();
  REQUIRE(stage.client.deliver());  // LOOKUP; the SETATTR is on its way
  stage.client.set_atime_of("/f", at(8));
  stage.run();
  CHECK(stage.client.atime("/f") == at(8));
  CHECK(stage.client.count(Procedure::setattr) == 1);
  CHECK(stage.unchanged() == 1);
}

TEST_CASE("AfterThreeNotSyncInARowTheGuardIsLeftOut", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f", 5);
  stage.client.script = [&](const FakeClient::Request& request) -> std::optional<nfs::Status> {
    if (request.procedure == Procedure::setattr) stage.client.touch_ctime("/f");  // it is being written
    return {};
  };
  stage.run();
  CHECK(stage.client.atime("/f") == at(5));
  CHECK(stage.client.count(Procedure::setattr) == 4);
  CHECK_FALSE(stage.client.requests.back().guard);
  CHECK(stage.applied() == 1);

  stage.client.script = {};
  stage.access("/f", 6);
  stage.run();
  CHECK(stage.client.requests.back().guard);
}

TEST_CASE("AServerThatCannotGuardIsServedWithout", "[apply]") {
  Stage stage;
  stage.client.guards = GENERATE(true, false);
  stage.client.guards_never_match = stage.client.guards;
  for (int i = 0; i < 6; ++i) {
    const std::string path = "/" + std::to_string(i);
    stage.client.make_file(path);
    stage.access(path, 5);
    stage.run();
    CHECK(stage.client.atime(path) == at(5));
  }
  CHECK(stage.applied() == 6);
  const auto before = stage.client.requests.size();
  stage.access("/0", 6);
  stage.run();
  CHECK(stage.client.requests.size() == before + 2);
  CHECK_FALSE(stage.client.requests.back().guard);
  CHECK(stage.applied() == 7);
}

TEST_CASE("GuardsThatAreMostlyHonouredAreKept", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<nfs::Status> {
    if (request.guard && request.path.starts_with("/odd")) return nfs::Status::inval;
    return {};
  };
  for (int i = 0; i < 6; ++i) {
    for (const std::string& path : {"/odd" + std::to_string(i), "/even" + std::to_string(i)}) {
      stage.client.make_file(path);
      stage.access(path, 5);
      stage.run();
    }
  }
  CHECK(stage.applied() == 12);
  CHECK(stage.client.requests.back().guard);
}

TEST_CASE("AnInvalidTimeIsNoDoubtAboutGuards", "[apply]") {
  Stage stage;
  stage.client.script = [](const FakeClient::Request& request) -> std::optional<nfs::Status> {
    if (request.procedure == Procedure::setattr && request.path.starts_with("/bad")) return nfs::Status::inval;
    return {};
  };
  for (int i = 0; i < 5; ++i) {
    stage.client.make_file("/bad" + std::to_string(i));
    stage.access("/bad" + std::to_string(i), 5);
  }
  stage.client.make_file("/good");
  stage.run();
  CHECK(stage.failed("inval") == 5);
  stage.access("/good", 5);
  stage.run();
  CHECK(stage.client.requests.back().guard);
}

TEST_CASE("ARequestThatTheServerDelayedCannotUndoANewerTime", "[apply]") {
  Stage stage;
  stage.client.make_file("/f");
  stage.access("/f", 5);
  stage.engine.pump();
  REQUIRE(stage.client.deliver());
  stage.client.complete_oldest(nfs::Status::timeout, FakeClient::Execution::late);
  stage.access("/f", 9);
  stage.run_for(std::chrono::seconds{60});
  CHECK(stage.client.atime("/f") == at(9));
  stage.client.deliver_late();
  CHECK(stage.client.atime("/f") == at(9));
  CHECK(stage.client.violations.empty());
  CHECK(stage.adds_up());
}

TEST_CASE("ADryRunDecidesAndCountsButSetsNothing", "[apply]") {
  Stage stage{{"/"}, true};
  stage.client.make_file("/f");
  stage.client.make_file("/g");
  stage.client.set_atime_of("/g", at(9));
  stage.access("/f", 5);
  stage.access("/g", 5);
  stage.access("/gone", 5);
  stage.run_for(std::chrono::seconds{2});
  CHECK(stage.client.count(Procedure::setattr) == 0);
  CHECK(stage.applied() == 1);
  CHECK(stage.unchanged() == 1);
  CHECK(stage.failed("noent") == 1);
}

TEST_CASE("FinalStatusesShowAsZeroFromTheStart", "[apply]") {
  const Stage stage;
  std::string seen;
  stage.registry.visit([&](const metrics::Registry::Sample& sample) {
    if (sample.name == "qatime_failed_total") seen += sample.label.value + " ";
  });
  CHECK(seen == "noent notdir acces perm rofs nametoolong inval ignored ");
}

}  // namespace
}  // namespace qatime::apply::engine_test

// SPDX-License-Identifier: MIT
#include "pending/renames.h"

#include <algorithm>

#include "catch.h"

namespace qatime::backlog::renames_test {

using namespace std::chrono_literals;

namespace {

constexpr HistoryLimits kPlenty{60s, 1 << 20};
constexpr Clock::Instant kStart{};

Time at(int seconds) { return Time{std::chrono::seconds{seconds}}; }

// Where an access at `path` and `time` goes; "" if it ends.
std::string goes(const RenameHistory& changes, std::string_view path, int time) {
  const Resolution resolution = changes.follow(path, at(time));
  if (resolution.kind == Resolution::Kind::ends) return "";
  return resolution.kind == Resolution::Kind::stays ? std::string{path} : resolution.path;
}

}  // namespace

TEST_CASE("WithoutChangesEveryPathStays", "[backlog]") {
  const RenameHistory changes{kPlenty};
  CHECK(goes(changes, "/a", 1) == "/a");
}

TEST_CASE("AMoveTakesAlongWhatHappenedUpToItsTime", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  CHECK(goes(changes, "/a", 9) == "/b");
  CHECK(goes(changes, "/a", 10) == "/b");
  CHECK(goes(changes, "/a", 11) == "/a");
}

TEST_CASE("AMoveTakesAlongTheWholeSubtreeAndNoNeighbour", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/d/a", "/e", at(10)}, kStart);
  CHECK(goes(changes, "/d/a/x/y", 1) == "/e/x/y");
  CHECK(goes(changes, "/d/ab", 1) == "/d/ab");
  CHECK(goes(changes, "/d", 1) == "/d");
}

TEST_CASE("AMoveEndsWhatItsTargetNamedBefore", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  CHECK(goes(changes, "/b", 10).empty());
  CHECK(goes(changes, "/b/x", 10).empty());
  CHECK(goes(changes, "/b", 11) == "/b");
}

TEST_CASE("ARemovalEndsOneObjectAndASubtreeRemovalAllBelowIt", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Removal{"/one", false, at(10)}, kStart);
  changes.remember(Removal{"/all", true, at(10)}, kStart);
  CHECK(goes(changes, "/one", 10).empty());
  CHECK(goes(changes, "/one/x", 10) == "/one/x");
  CHECK(goes(changes, "/all", 10).empty());
  CHECK(goes(changes, "/all/x/y", 10).empty());
  CHECK(goes(changes, "/all/x/y", 11) == "/all/x/y");
}

TEST_CASE("ARemovalOfTheRootEndsEverything", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Removal{"/", true, at(10)}, kStart);
  CHECK(goes(changes, "/", 1).empty());
  CHECK(goes(changes, "/x/y", 1).empty());
}

TEST_CASE("ChainsAreFollowedInTheOrderOfTheirTimesWhateverTheOrderOfArrival", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/c", "/d", at(30)}, kStart);
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/b", "/c", at(20)}, kStart);
  CHECK(goes(changes, "/a/x", 5) == "/d/x");
  CHECK(goes(changes, "/b/x", 15) == "/d/x");
  CHECK(goes(changes, "/b/x", 5).empty());
  CHECK(goes(changes, "/c", 25) == "/d");
}

TEST_CASE("ASwapSwaps", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/tmp", at(10)}, kStart);
  changes.remember(Move{"/b", "/a", at(11)}, kStart);
  changes.remember(Move{"/tmp", "/b", at(12)}, kStart);
  CHECK(goes(changes, "/a", 5) == "/b");
  CHECK(goes(changes, "/b", 5) == "/a");
}

TEST_CASE("ThereAndBackAgainEnds", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/b", "/a", at(20)}, kStart);
  CHECK(goes(changes, "/a", 5) == "/a");
  CHECK(changes.follow("/a", at(5)).kind == Resolution::Kind::moves);
}

TEST_CASE("AMoveThenARemovalEnds", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Removal{"/b", false, at(20)}, kStart);
  CHECK(goes(changes, "/a", 5).empty());
  CHECK(goes(changes, "/a", 15) == "/a");
}

TEST_CASE("TheOriginOfWhatIsThereNowIsFoundBackwards", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/b", "/c", at(20)}, kStart);
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  CHECK(changes.origin("/c/x", at(5)) == "/a/x");
  CHECK(changes.origin("/c/x", at(10)) == "/a/x");
  CHECK(changes.origin("/c/x", at(15)) == "/b/x");
  CHECK(changes.origin("/c/x", at(25)) == "/c/x");
  CHECK(changes.origin("/c/x", at(5), 1) == "/b/x");
  CHECK(changes.origin("/cc", at(5)) == "/cc");
}

TEST_CASE("WhetherAPathWasTouchedIsSaidOfAllAroundIt", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Removal{"/a/b", false, at(10)}, kStart);
  changes.remember(Removal{"/z", false, at(30)}, kStart);
  for (const char* path : {"/", "/a", "/a/b", "/a/b/c"}) CHECK_FALSE(changes.untouched_since(path, at(9)));
  for (const char* path : {"/a", "/a/b", "/a/b/c"}) CHECK(changes.untouched_since(path, at(10)));
  for (const char* path : {"/b", "/a/bb", "/a/c"}) CHECK(changes.untouched_since(path, at(9)));
}

TEST_CASE("SubtreesAreTracedInPieces", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/d", "/e", at(20)}, kStart);
  changes.remember(Move{"/d/s", "/t", at(10)}, kStart);
  changes.remember(Move{"/t/u", "/d/v", at(15)}, kStart);
  const auto sorted = [](std::vector<std::string> pieces) {
    std::sort(pieces.begin(), pieces.end());
    return pieces;
  };
  using Pieces = std::vector<std::string>;
  CHECK(sorted(changes.destinations("/d", at(5))) == Pieces{"/e", "/e/v", "/t"});
  CHECK(sorted(changes.destinations("/d/s", at(5))) == Pieces{"/e/v", "/t"});
  CHECK(sorted(changes.destinations("/d", at(20))) == Pieces{"/d"});
  CHECK(sorted(changes.sources("/e", at(30))) == Pieces{"/d", "/d/s/u", "/e", "/t/u"});
  CHECK(sorted(changes.sources("/e", at(10))) == Pieces{"/e"});
}

TEST_CASE("AChangeIsKnownByAllOfItAsLongAsItIsRemembered", "[backlog]") {
  RenameHistory changes{kPlenty};
  CHECK_FALSE(changes.knows(Move{"/a", "/b", at(10)}));
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/a", "/c", at(10)}, kStart);
  changes.remember(Removal{"/d", true, at(20)}, kStart + 1s);
  CHECK(changes.knows(Move{"/a", "/b", at(10)}));
  CHECK(changes.knows(Move{"/a", "/c", at(10)}));
  CHECK(changes.knows(Removal{"/d", true, at(20)}));
  CHECK_FALSE(changes.knows(Move{"/a", "/b", at(11)}));
  CHECK_FALSE(changes.knows(Move{"/a", "/d", at(10)}));
  CHECK_FALSE(changes.knows(Move{"/b", "/a", at(10)}));
  CHECK_FALSE(changes.knows(Removal{"/a", false, at(10)}));
  CHECK_FALSE(changes.knows(Removal{"/b", true, at(10)}));
  CHECK_FALSE(changes.knows(Removal{"/d", false, at(20)}));
  CHECK_FALSE(changes.knows(Removal{"/d", true, at(19)}));
  changes.forget(kStart + 60s);
  CHECK_FALSE(changes.knows(Move{"/a", "/b", at(10)}));
  CHECK(changes.knows(Removal{"/d", true, at(20)}));
}

TEST_CASE("ChangesAreForgottenAMinuteAfterTheirArrival", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Removal{"/b", false, at(20)}, kStart + 1s);
  changes.forget(kStart + 59s);
  CHECK(changes.size() == 2);
  changes.forget(kStart + 60s);
  CHECK(changes.size() == 1);
  CHECK(goes(changes, "/a", 5) == "/a");
  CHECK(goes(changes, "/b", 5).empty());
  changes.forget(kStart + 61s);
  CHECK(changes.size() == 0);
  CHECK(changes.bytes() == 0);
  CHECK(goes(changes, "/b", 5) == "/b");
}

TEST_CASE("AChangeWaitsForEarlierOnesThatCameLaterButNotForEver", "[backlog]") {
  RenameHistory changes{kPlenty};
  changes.remember(Move{"/b", "/c", at(20)}, kStart);
  changes.remember(Move{"/a", "/b", at(10)}, kStart + 59s);
  changes.forget(kStart + 118s);
  CHECK(goes(changes, "/a", 5) == "/c");
  changes.forget(kStart + 119s);
  CHECK(changes.size() == 0);

  changes.remember(Move{"/b", "/c", at(1'000)}, kStart);
  for (int i = 1; i < 119; ++i) {
    changes.remember(Move{"/a", "/b", at(i)}, kStart + std::chrono::seconds{i});
    changes.forget(kStart + std::chrono::seconds{i});
  }
  CHECK(goes(changes, "/b", 500) == "/c");
  changes.forget(kStart + 120s);
  CHECK(goes(changes, "/b", 500) == "/b");
}

TEST_CASE("TheMemoryOfChangesIsBoundedAndTheOldestAreForgottenFirst", "[backlog]") {
  RenameHistory changes{{60s, 10'000}};
  for (int i = 0; i < 1'000; ++i) changes.remember(Removal{"/" + std::to_string(i), false, at(10)}, kStart);
  CHECK(changes.bytes() <= 11'000);  // the last one more
  CHECK(changes.size() > 5);
  CHECK(goes(changes, "/0", 5) == "/0");
  CHECK(goes(changes, "/999", 5).empty());
  const std::string huge(32'000, 'x');
  changes.remember(Removal{"/" + huge, false, at(10)}, kStart);
  changes.forget(kStart);
  CHECK(changes.size() == 1);
}

TEST_CASE("PathsOfManyComponentsTakeTimeByTheirLength", "[one-thread]") {
  std::string deep;
  while (deep.size() < 256 << 10) deep += "/x";
  RenameHistory changes{kPlenty};
  for (int i = 0; i < 100; ++i) {
    changes.remember(Move{deep + std::to_string(i), "/y" + std::to_string(i), at(10 + i)}, kStart);
    CHECK(goes(changes, deep + std::to_string(i) + "/z", 5) == "/y" + std::to_string(i) + "/z");
  }
}

}  // namespace qatime::backlog::renames_test

// SPDX-License-Identifier: MIT
#include "backlog/changes.h"

#include "catch.h"

using namespace std::chrono_literals;
using qatime::Clock;
using qatime::Move;
using qatime::Removal;
using qatime::Time;
using qatime::backlog::Changes;
using qatime::backlog::Fate;
using qatime::backlog::Remembrance;

namespace {

constexpr Remembrance kPlenty{60s, 1 << 20};
constexpr Clock::Instant kStart{};

Time at(int seconds) { return Time{std::chrono::seconds{seconds}}; }

// Where an access at `path` and `time` goes; "" if it ends.
std::string goes(const Changes& changes, std::string_view path, int time) {
  const Fate fate = changes.follow(path, {at(time)});
  if (fate.kind == Fate::Kind::ends) return "";
  return fate.kind == Fate::Kind::stays ? std::string{path} : fate.path;
}

}  // namespace

TEST_CASE("WithoutChangesEveryPathStays", "[backlog]") {
  const Changes changes{kPlenty};
  CHECK(goes(changes, "/a", 1) == "/a");
}

TEST_CASE("AMoveTakesAlongWhatHappenedUpToItsTime", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  CHECK(goes(changes, "/a", 9) == "/b");
  CHECK(goes(changes, "/a", 10) == "/b");
  CHECK(goes(changes, "/a", 11) == "/a");
}

TEST_CASE("AMoveTakesAlongTheWholeSubtreeAndNoNeighbour", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/d/a", "/e", at(10)}, kStart);
  CHECK(goes(changes, "/d/a/x/y", 1) == "/e/x/y");
  CHECK(goes(changes, "/d/ab", 1) == "/d/ab");
  CHECK(goes(changes, "/d", 1) == "/d");
}

TEST_CASE("AMoveEndsWhatItsTargetNamedBefore", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  CHECK(goes(changes, "/b", 10).empty());
  CHECK(goes(changes, "/b/x", 10).empty());
  CHECK(goes(changes, "/b", 11) == "/b");
}

TEST_CASE("ARemovalEndsOneObjectAndASubtreeRemovalAllBelowIt", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Removal{"/one", false, at(10)}, kStart);
  changes.remember(Removal{"/all", true, at(10)}, kStart);
  CHECK(goes(changes, "/one", 10).empty());
  CHECK(goes(changes, "/one/x", 10) == "/one/x");
  CHECK(goes(changes, "/all", 10).empty());
  CHECK(goes(changes, "/all/x/y", 10).empty());
  CHECK(goes(changes, "/all/x/y", 11) == "/all/x/y");
}

TEST_CASE("ARemovalOfTheRootEndsEverything", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Removal{"/", true, at(10)}, kStart);
  CHECK(goes(changes, "/", 1).empty());
  CHECK(goes(changes, "/x/y", 1).empty());
}

TEST_CASE("ChainsAreFollowedInTheOrderOfTheirTimesWhateverTheOrderOfArrival", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/c", "/d", at(30)}, kStart);
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/b", "/c", at(20)}, kStart);
  CHECK(goes(changes, "/a/x", 5) == "/d/x");
  CHECK(goes(changes, "/b/x", 15) == "/d/x");
  CHECK(goes(changes, "/b/x", 5).empty());
  CHECK(goes(changes, "/c", 25) == "/d");
}

TEST_CASE("ASwapSwaps", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/tmp", at(10)}, kStart);
  changes.remember(Move{"/b", "/a", at(11)}, kStart);
  changes.remember(Move{"/tmp", "/b", at(12)}, kStart);
  CHECK(goes(changes, "/a", 5) == "/b");
  CHECK(goes(changes, "/b", 5) == "/a");
}

TEST_CASE("ThereAndBackAgainEnds", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/b", "/a", at(20)}, kStart);
  CHECK(goes(changes, "/a", 5) == "/a");
  CHECK(changes.follow("/a", {at(5)}).kind == Fate::Kind::moves);
}

TEST_CASE("AMoveThenARemovalEnds", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Removal{"/b", false, at(20)}, kStart);
  CHECK(goes(changes, "/a", 5).empty());
  CHECK(goes(changes, "/a", 15) == "/a");
}

TEST_CASE("FollowingFromAChangeOnSkipsWhatHappenedBefore", "[backlog]") {
  Changes changes{kPlenty};
  const auto first = changes.remember(Move{"/a", "/b", at(10)}, kStart);
  changes.remember(Move{"/b", "/c", at(10)}, kStart);
  CHECK(changes.follow("/b", {first.time, first.sequence + 1}).path == "/c");
  CHECK(changes.follow("/b", first).kind == Fate::Kind::ends);
}

TEST_CASE("FollowingWhatCameSinceSkipsWhatWasKnown", "[backlog]") {
  Changes changes{kPlenty};
  changes.remember(Move{"/a", "/b", at(10)}, kStart);
  const auto known = changes.last_sequence();
  CHECK(changes.follow("/b", {at(5)}, known).kind == Fate::Kind::stays);
  changes.remember(Move{"/b", "/c", at(9)}, kStart);
  CHECK(changes.follow("/b", {at(5)}, known).path == "/c");
}

TEST_CASE("ChangesAreForgottenAMinuteAfterTheirArrival", "[backlog]") {
  Changes changes{kPlenty};
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

TEST_CASE("TheMemoryOfChangesIsBoundedAndTheOldestAreForgottenFirst", "[backlog]") {
  Changes changes{{60s, 10'000}};
  for (int i = 0; i < 1'000; ++i) changes.remember(Removal{"/" + std::to_string(i), false, at(10)}, kStart);
  CHECK(changes.bytes() <= 10'000);
  CHECK(changes.size() > 5);
  CHECK(goes(changes, "/0", 5) == "/0");
  CHECK(goes(changes, "/999", 5).empty());
  const std::string huge(32'000, 'x');
  changes.remember(Removal{"/" + huge, false, at(10)}, kStart);
  CHECK(changes.size() == 1);
}

TEST_CASE("TheLatestChangeIsKnownWhenALaterOneIsForgotten", "[backlog]") {
  Changes changes{kPlenty};
  const auto future = changes.remember(Move{"/a", "/b", at(1'000)}, kStart);
  const auto now = changes.remember(Move{"/c", "/d", at(10)}, kStart + 1s);
  CHECK(changes.is_latest(future));
  CHECK_FALSE(changes.is_latest(now));
  changes.forget(kStart + 60s);
  CHECK(changes.is_latest(now));
}

// SPDX-License-Identifier: MIT
#include "pending/pending_table.h"

#include <random>
#include <set>

#include "catch.h"

namespace qatime::backlog::pending_table_test {

using namespace std::chrono_literals;

namespace {

constexpr Clock::Instant kStart{};

Time at(int seconds) { return Time{std::chrono::seconds{seconds}}; }

struct Fixture {
  explicit Fixture(std::vector<std::string> paths = {"/"}) : exports{std::move(paths)} {}

  PendingTable::Added add(std::string_view path, int time) { return table.add(*exports.place(path), at(time), true); }
  Slice take(std::size_t limit = 100, std::size_t export_index = 0) { return table.take(export_index, limit, 0); }

  // All that can be taken, as "path time".
  std::multiset<std::string> drain(std::size_t export_index = 0) {
    std::multiset<std::string> found;
    for (Slice slice = take(3, export_index); !slice.entries.empty(); slice = take(3, export_index)) {
      for (const auto& entry : slice.entries) {
        found.insert(join(slice.directory, entry.name) + ' ' + std::to_string(entry.time.time_since_epoch() / 1s));
        table.settle(entry.ticket);
      }
    }
    return found;
  }

  std::vector<PendingTable::Withdrawn> withdraw(std::string_view path, bool subtree, int until) {
    std::vector<PendingTable::Withdrawn> withdrawn;
    table.withdraw(path, subtree, at(until), [&](PendingTable::Withdrawn one) { withdrawn.push_back(std::move(one)); });
    return withdrawn;
  }
  std::vector<PendingTable::Withdrawn> move(std::string_view path, std::string_view target, int until) {
    std::vector<PendingTable::Withdrawn> withdrawn;
    table.move_directories(path, target, at(until),
                           [&](PendingTable::Withdrawn one) { withdrawn.push_back(std::move(one)); });
    return withdrawn;
  }

  Exports exports;
  PendingTable table{exports, kStart};
};

std::vector<std::string> names(const Slice& slice) {
  std::vector<std::string> found;
  found.reserve(slice.entries.size());
  for (const auto& entry : slice.entries) found.push_back(entry.name);
  return found;
}

using Names = std::vector<std::string>;
using Found = std::multiset<std::string>;

}  // namespace

TEST_CASE("TheNewestTimeOfAPathWinsWhateverTheOrder", "[backlog]") {
  Fixture f;
  CHECK(f.add("/d/a", 2) == PendingTable::Added::waits);
  CHECK(f.add("/d/a", 1) == PendingTable::Added::coalesced);
  CHECK(f.add("/d/a", 3) == PendingTable::Added::coalesced);
  CHECK(f.table.pending() == 1);
  CHECK(f.drain() == Found{"/d/a 3"});
  CHECK(f.table.pending() == 0);
}

TEST_CASE("ASliceSaysHowManyAreLeftAndCanTakeMoreOfThem", "[backlog]") {
  Fixture f;
  for (const char* const name : {"/d/a", "/d/b", "/d/c", "/d/d", "/d/e"}) f.add(name, 1);
  f.add("/other/x", 1);
  f.withdraw("/d/e", false, 1);
  Slice slice = f.take(1);
  CHECK(slice.left == 3);
  f.table.take_more(slice, 2, 0);
  CHECK(names(slice) == Names{"a", "b", "c"});
  CHECK(slice.left == 1);
  f.add("/d/a", 2);
  f.table.settle(slice.entries.at(0).ticket);
  f.table.take_more(slice, 10, 0);
  CHECK(names(slice) == Names{"a", "b", "c", "d", "a"});
  CHECK(slice.left == 0);
  f.table.take_more(slice, 10, 0);
  CHECK(slice.entries.size() == 5);
  CHECK(names(f.take()) == Names{"x"});
  CHECK(f.take().left == 0);
}

TEST_CASE("NoMoreIsTakenOfADirectoryThatIsGone", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  f.add("/d/b", 1);
  Slice slice = f.take(1);
  f.table.settle(slice.entries.at(0).ticket);
  f.withdraw("/d", true, 1);
  f.table.take_more(slice, 10, 0);
  CHECK(names(slice) == Names{"a"});
}

TEST_CASE("TheRootOfAnExportHasAnEmptyName", "[backlog]") {
  Fixture f;
  f.add("/", 1);
  f.add("/a", 1);
  const Slice slice = f.take();
  CHECK(slice.directory == "/");
  CHECK(names(slice) == Names{"", "a"});
}

TEST_CASE("ASliceComesFromOneDirectoryInTheOrderOfArrival", "[backlog]") {
  Fixture f;
  f.add("/d/b", 9);
  f.add("/e/x", 1);
  f.add("/d/a", 5);
  const Slice slice = f.take();
  CHECK(slice.directory == "/d");
  CHECK(names(slice) == Names{"b", "a"});
  CHECK(f.table.in_flight() == 2);
  CHECK(names(f.take()) == Names{"x"});
  CHECK(f.take().entries.empty());
}

TEST_CASE("AHugeDirectoryHoldsNobodyUp", "[backlog]") {
  Fixture f;
  for (int i = 0; i < 10; ++i) f.add("/huge/" + std::to_string(i), 1);
  f.add("/small/x", 1);
  CHECK(names(f.take(4)) == Names{"0", "1", "2", "3"});
  CHECK(names(f.take(4)) == Names{"x"});
  CHECK(names(f.take(4)) == Names{"4", "5", "6", "7"});
}

TEST_CASE("ADirectoryThatIsNotWantedMissesItsTurn", "[backlog]") {
  Fixture f;
  for (const auto* path : {"/a/1", "/b/1", "/a/2", "/c/1"}) f.add(path, 1);
  const auto wants = [](std::string_view directory) { return directory != "/a"; };
  CHECK(f.table.take_wanted(0, 9, 0, wants).directory == "/b");
  CHECK(f.table.take_wanted(0, 9, 0, wants).directory == "/c");
  CHECK(f.table.take_wanted(0, 9, 0, wants).entries.empty());
  CHECK(f.take(1).directory == "/a");
  CHECK(f.table.take_wanted(0, 9, 0, wants).entries.empty());
  CHECK(f.take().entries.size() == 1);
}

TEST_CASE("EachExportHasItsOwnQueue", "[backlog]") {
  Fixture f{{"/", "/data"}};
  f.add("/data/a", 1);
  f.add("/data", 2);
  f.add("/x", 3);
  CHECK(f.drain(1) == Found{"/data/a 1", "/data 2"});
  CHECK(f.drain(0) == Found{"/x 3"});
}

TEST_CASE("ANewerTimeWaitsForTheOneInFlight", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Slice slice = f.take();
  CHECK(f.add("/a", 1) == PendingTable::Added::coalesced);
  CHECK(f.add("/a", 2) == PendingTable::Added::waits);
  CHECK(f.add("/a", 3) == PendingTable::Added::coalesced);
  CHECK(f.table.pending() == 2);
  CHECK(f.table.in_flight() == 1);
  CHECK(f.take().entries.empty());
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.table.pending() == 1);
  CHECK(f.drain() == Found{"/a 3"});
}

TEST_CASE("WhatIsPutBackWaitsForItsMomentAndKeepsItsHistory", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Slice slice = f.take();
  CHECK_FALSE(f.table.next_due());
  CHECK_FALSE(f.table.put_back(slice.entries.at(0).ticket, kStart + 5s, {2, kStart}));
  CHECK(f.table.in_flight() == 0);
  CHECK(f.table.pending() == 1);
  CHECK(f.table.next_due() == kStart + 5s);
  CHECK(f.take().entries.empty());
  CHECK(f.add("/a", 2) == PendingTable::Added::coalesced);
  CHECK(f.take().entries.empty());
  f.table.advance(kStart + 5s);
  const Slice again = f.take();
  REQUIRE(again.entries.size() == 1);
  CHECK(again.entries[0].time == at(2));
  CHECK(again.entries[0].retry.attempts == 2);
  CHECK_FALSE(f.table.next_due());
}

TEST_CASE("TheWholeHistoryIsKept", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  f.table.put_back(f.take().entries.at(0).ticket, kStart, {100'000, kStart + 123ns, true});
  const Slice slice = f.take();
  CHECK(slice.entries.at(0).retry.attempts == 65'535);
  CHECK(slice.entries.at(0).retry.since == kStart + 123ns);
  CHECK(slice.entries.at(0).retry.missed);
  f.add("/a", 2);
  f.table.settle(slice.entries.at(0).ticket);
  const Slice next = f.take();
  CHECK(next.entries.at(0).retry.attempts == 0);
  CHECK(next.entries.at(0).retry.since == Clock::Instant{});
  CHECK_FALSE(next.entries.at(0).retry.missed);
}

TEST_CASE("WhatIsPutBackComesInTheOrderOfItsMoments", "[backlog]") {
  Fixture f;
  std::mt19937 random{1};
  std::vector<std::chrono::seconds> moments;
  for (int i = 0; i < 500; ++i) f.add('/' + std::to_string(i), 1);
  for (const auto& entry : f.take(500).entries) {
    moments.emplace_back(1 + random() % 100);
    f.table.put_back(entry.ticket, kStart + moments.back(), {});
  }
  std::multiset<std::chrono::seconds> left{moments.begin(), moments.end()};
  for (int i = 0; i < 500; ++i) {
    if (random() % 3 != 0) continue;
    CHECK(f.withdraw('/' + std::to_string(i), false, 1).size() == 1);
    left.erase(left.find(moments.at(static_cast<std::size_t>(i))));
    CHECK(f.table.next_due() == kStart + *left.begin());
  }
  while (!left.empty()) {
    const auto moment = *left.begin();
    CHECK(f.table.next_due() == kStart + moment);
    f.table.advance(kStart + moment);
    CHECK(f.drain().size() == left.erase(moment));
  }
  CHECK_FALSE(f.table.next_due());
  CHECK(f.table.pending() == 0);
}

TEST_CASE("WhatFallsDueAtOnceWaitsAgainInParts", "[backlog]") {
  constexpr std::size_t kCount = 3 * PendingTable::kMostReleased;
  Fixture f;
  for (std::size_t i = 0; i < kCount; ++i) f.add("/d/" + std::to_string(i), 1);
  for (const auto& entry : f.take(kCount).entries) f.table.put_back(entry.ticket, kStart + 1s, {});
  CHECK(f.take().entries.empty());
  f.table.advance(kStart + 2s);
  std::size_t taken = 0;
  for (std::size_t part = 1; part <= 3; ++part) {
    CHECK(f.table.next_due() == kStart + 1s);
    const Slice slice = f.take(1);
    taken += slice.entries.size();
    CHECK(slice.left + taken == part * PendingTable::kMostReleased);
  }
  CHECK_FALSE(f.table.next_due());
  CHECK(f.take(kCount).entries.size() + taken == kCount);
}

TEST_CASE("TheHistoryEndsWithTheEntry", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  f.table.put_back(f.take().entries.at(0).ticket, kStart, {2, kStart});
  const Slice slice = f.take();
  f.add("/a", 2);
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.take().entries.at(0).retry.attempts == 0);
}

TEST_CASE("WhatIsPutBackCoalescesWithTheNewerTimeThatWaits", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Slice slice = f.take();
  f.add("/a", 2);
  CHECK(f.table.put_back(slice.entries.at(0).ticket, kStart, {1, kStart}));
  CHECK(f.table.pending() == 1);
  CHECK(f.drain() == Found{"/a 2"});
}

TEST_CASE("WhatIsPutBackComesBehindTheOthersOfItsDirectory", "[backlog]") {
  Fixture f;
  for (const char* path : {"/a", "/b", "/c"}) f.add(path, 1);
  for (const char* expected : {"a", "b", "c", "a"}) {
    const Slice slice = f.take(1);
    CHECK(names(slice) == Names{expected});
    f.table.put_back(slice.entries.at(0).ticket, kStart, {});
  }
}

TEST_CASE("ATicketThatHasEndedDoesNothing", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Ticket old = f.take().entries.at(0).ticket;
  f.table.settle(old);
  f.table.settle(old);
  f.add("/b", 1);
  CHECK_FALSE(f.table.flight(old));
  const Slice slice = f.take();
  CHECK_FALSE(f.table.flight(old));
  f.table.settle(old);
  CHECK_FALSE(f.table.put_back(old, kStart, {}));
  f.table.settle(Ticket{123'456, 1});
  CHECK(f.table.in_flight() == 1);
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.table.pending() == 0);
}

TEST_CASE("ATicketEndsWhenItsEntryIsPutBack", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Ticket old = f.take().entries.at(0).ticket;
  f.table.put_back(old, kStart + 5s, {});
  CHECK_FALSE(f.table.flight(old));
  f.table.settle(old);
  CHECK(f.table.pending() == 1);
  f.table.advance(kStart + 5s);
  CHECK(f.drain() == Found{"/a 1"});
}

TEST_CASE("AFlightKnowsItsPathTimeAndMark", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  const Slice slice = f.table.take(0, 1, 42);
  f.add("/d/a", 2);
  const auto flight = f.table.flight(slice.entries.at(0).ticket);
  REQUIRE(flight);
  CHECK(flight->path == "/d/a");
  CHECK(flight->time == at(1));
  CHECK(flight->mark == 42);
}

TEST_CASE("WithdrawalTakesTheObjectOrTheSubtreeUpToATime", "[backlog]") {
  Fixture f;
  for (const char* path : {"/d", "/d/a", "/d/e/f", "/d0", "/d-x/y"}) f.add(path, 5);
  f.add("/d/new", 6);
  CHECK(f.withdraw("/d", false, 5).size() == 1);
  CHECK(f.withdraw("/d", true, 4).size() == 0);
  CHECK(f.withdraw("/d", true, 5).size() == 2);
  CHECK(f.drain() == Found{"/d/new 6", "/d0 5", "/d-x/y 5"});
}

TEST_CASE("WithdrawalOfTheRootTakesEverything", "[backlog]") {
  Fixture f{{"/", "/data"}};
  for (const char* path : {"/", "/a", "/b/c", "/data", "/data/x"}) f.add(path, 5);
  CHECK(f.withdraw("/", true, 5).size() == 5);
  CHECK(f.table.pending() == 0);
}

TEST_CASE("WithdrawalTakesWhatWaitsBehindAFlightAndWhatWasPutBack", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  f.add("/d/b", 1);
  const Slice slice = f.take();
  f.add("/d/a", 2);
  f.table.put_back(slice.entries.at(1).ticket, kStart + 5s, {});
  CHECK(f.withdraw("/d", true, 5).size() == 2);
  CHECK_FALSE(f.table.next_due());
  CHECK(f.table.pending() == 1);
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.table.pending() == 0);
  CHECK(f.drain().empty());
}

TEST_CASE("WithdrawalHandsOverWhatItRemoves", "[backlog]") {
  Fixture f;
  f.add("/d", 1);
  f.add("/d/a", 2);
  f.add("/d/b", 9);
  const auto withdrawn = f.withdraw("/d", true, 5);
  REQUIRE(withdrawn.size() == 2);
  CHECK(withdrawn[0].path == "/d");
  CHECK(withdrawn[1].path == "/d/a");
  CHECK(withdrawn[1].time == at(2));
  CHECK_FALSE(withdrawn[1].superseded);
  CHECK(f.drain() == Found{"/d/b 9"});
}

TEST_CASE("SupersededTimesAreWithdrawnFromUnderNewerOnes", "[backlog]") {
  Fixture f;
  for (const int time : {4, 2, 6, 8, 6}) f.add("/d/a", time);
  const auto withdrawn = f.withdraw("/d", true, 5);
  REQUIRE(withdrawn.size() == 2);
  CHECK(withdrawn[0].time == at(4));
  CHECK(withdrawn[0].superseded);
  CHECK(withdrawn[1].time == at(2));
  CHECK(f.withdraw("/d", true, 5).empty());
  CHECK(f.withdraw("/d", true, 7).size() == 2);  // 6, twice
  CHECK(f.drain() == Found{"/d/a 8"});
}

TEST_CASE("SupersededTimesAreForgottenInTime", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  f.add("/a", 8);
  f.table.advance(kStart + 30s);
  f.add("/a", 2);
  f.table.advance(kStart + 61s);
  CHECK(f.withdraw("/a", false, 5).size() == 1);
  f.add("/a", 3);
  f.table.advance(kStart + 200s);
  CHECK(f.withdraw("/a", false, 5).empty());
  CHECK(f.table.pending() == 1);
}

TEST_CASE("SupersededTimesAreBoundedAndTheEarliestAreForgottenFirst", "[backlog]") {
  const Exports exports;
  PendingTable table{exports, kStart, {60s, 160}};
  const auto withdraw = [&table](std::string_view path) {
    std::size_t count = 0;
    table.withdraw(path, false, at(999), [&count](const PendingTable::Withdrawn&) { ++count; });
    return count;
  };
  for (int i = 0; i < 8; ++i) table.add(*exports.place("/a"), at(1'000 - i), true);
  for (int i = 0; i < 8; ++i) table.add(*exports.place("/b"), at(1'000 - i), true);
  CHECK(table.bytes() > 160);
  CHECK(withdraw("/a") == 3);
  CHECK(withdraw("/b") == 7);
}

TEST_CASE("WhatAFlightHasSupersededIsWithdrawn", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  f.add("/d/a", 3);
  const Slice slice = f.take();
  f.add("/d/a", 2);
  f.add("/d/a", 5);
  f.add("/d/a", 4);
  CHECK(f.withdraw("/d", true, 4).size() == 3);
  f.table.put_back(slice.entries.at(0).ticket, kStart, {});
  CHECK(f.withdraw("/d", true, 4).size() == 1);  // that of the flight
  CHECK(f.drain() == Found{"/d/a 5"});
}

TEST_CASE("AMovedDirectoryHandsOverWhatItsFlightsHaveSuperseded", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  f.add("/d/a", 2);
  const Slice slice = f.take();
  const auto withdrawn = f.move("/d", "/n", 5);
  REQUIRE(withdrawn.size() == 1);
  CHECK(withdrawn[0].path == "/d/a");
  CHECK(withdrawn[0].time == at(1));
  CHECK(withdrawn[0].superseded);
}

TEST_CASE("DirectoriesMoveAsAWhole", "[backlog]") {
  Fixture f;
  for (const char* path : {"/d/a", "/d/b", "/d/e/f", "/x/y"}) f.add(path, 1);
  f.move("/d", "/n", 5);
  CHECK(f.table.pending() == 4);
  CHECK(f.add("/n/a", 7) == PendingTable::Added::coalesced);
  CHECK(f.add("/d/a", 8) == PendingTable::Added::waits);
  CHECK(f.drain() == Found{"/n/a 7", "/n/b 1", "/n/e/f 1", "/x/y 1", "/d/a 8"});
}

TEST_CASE("DirectoriesWithNewerTimesOrAnExistingTargetDoNotMoveAsAWhole", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  f.add("/d/b", 9);
  f.add("/e/a", 1);
  f.add("/g/x", 9);
  f.move("/d", "/n", 5);
  f.move("/e", "/g", 5);
  CHECK(f.drain() == Found{"/d/a 1", "/d/b 9", "/e/a 1", "/g/x 9"});
}

TEST_CASE("AMovedDirectoryLeavesItsFlightsBehind", "[backlog]") {
  Fixture f;
  for (const char* path : {"/d/a", "/d/b", "/d/c"}) f.add(path, 1);
  const Slice slice = f.take();
  f.table.put_back(slice.entries.at(2).ticket, kStart + 1s, {});
  f.add("/d/b", 2);
  f.add("/d/e", 1);
  f.move("/d", "/n", 5);
  CHECK(f.table.pending() == 5);
  CHECK(f.table.flight(slice.entries.at(0).ticket)->path == "/d/a");
  CHECK(f.table.flight(slice.entries.at(1).ticket)->path == "/d/b");
  f.table.advance(kStart + 1s);
  CHECK(f.drain() == Found{"/n/b 2", "/n/c 1", "/n/e 1"});
  CHECK(f.add("/d/b", 7) == PendingTable::Added::waits);
  f.table.settle(slice.entries.at(0).ticket);
  f.table.settle(slice.entries.at(1).ticket);
  CHECK(f.drain() == Found{"/d/b 7"});
  CHECK(f.table.pending() == 0);
}

TEST_CASE("WhatWasLeftBehindIsNotMovedByAnOlderMove", "[backlog]") {
  Fixture f;
  f.add("/d/a", 4);
  const Slice slice = f.take();
  f.move("/d", "/n", 5);
  f.table.put_back(slice.entries.at(0).ticket, kStart, {});
  f.move("/d", "/m", 3);
  CHECK(f.drain() == Found{"/d/a 4"});
}

TEST_CASE("AMoveOfFlightsAloneLeavesNoDirectoryBehind", "[backlog]") {
  Fixture f;
  const std::size_t empty = f.table.bytes();
  for (int i = 0; i < 1'000; ++i) {
    f.add("/d/a", 1);
    const Slice slice = f.take();
    f.move("/d", '/' + std::string(200, 'n') + std::to_string(i), 5);
    f.table.settle(slice.entries.at(0).ticket);
  }
  CHECK(f.table.pending() == 0);
  CHECK(f.table.bytes() < empty + 1'000 * 250);
}

TEST_CASE("AMovedDirectoryGoesToTheQueueOfItsNewExport", "[backlog]") {
  Fixture f{{"/", "/data", "/deep/er"}};
  f.add("/d/a", 1);
  f.add("/e/er", 1);
  f.add("/data/x", 1);
  f.move("/d", "/data/d", 5);
  f.move("/e", "/deep", 5);  // /e/er becomes the root of an export
  CHECK(f.drain(0) == Found{"/e/er 1"});
  CHECK(f.drain(1) == Found{"/data/d/a 1", "/data/x 1"});
  CHECK(f.drain(2).empty());
}

TEST_CASE("TheRootOfAnExportDoesNotMoveAsAWholeButWhatIsBelowDoes", "[backlog]") {
  Fixture f{{"/", "/data"}};
  for (const char* path : {"/data", "/data/x", "/data/d/y"}) f.add(path, 1);
  f.move("/data", "/c", 5);
  CHECK(f.drain(0) == Found{"/c/d/y 1"});
  CHECK(f.drain(1) == Found{"/data 1", "/data/x 1"});
}

TEST_CASE("NewsIsWhatComesIntoAnEmptyQueue", "[backlog]") {
  Fixture f;
  CHECK_FALSE(f.table.take_news());
  f.add("/a", 1);
  CHECK(f.table.take_news());
  CHECK_FALSE(f.table.take_news());
  f.add("/b/c", 1);
  CHECK_FALSE(f.table.take_news());
  f.drain();
  f.add("/b/c", 1);
  CHECK(f.table.take_news());
}

TEST_CASE("WithoutRoomOnlyWhatIsThereCoalesces", "[backlog]") {
  Fixture f;
  f.add("/d/a", 1);
  CHECK(f.table.add(*f.exports.place("/d/a"), at(2), false) == PendingTable::Added::coalesced);
  CHECK(f.table.add(*f.exports.place("/d/b"), at(2), false) == PendingTable::Added::refused);
  CHECK(f.table.add(*f.exports.place("/e/b"), at(2), false) == PendingTable::Added::refused);
  const Slice slice = f.take();
  CHECK(f.table.add(*f.exports.place("/d/a"), at(3), false) == PendingTable::Added::waits);
}

TEST_CASE("TheAgeOfTheOldestIsKnownToTheSecond", "[backlog]") {
  Fixture f;
  CHECK(f.table.oldest(kStart + 9s) == 0s);
  f.table.advance(kStart + 10s);
  f.add("/a", 1);
  f.table.advance(kStart + 13s);
  f.add("/b", 1);
  f.add("/a", 2);
  CHECK(f.table.oldest(kStart + 15s) == 5s);
  const Slice slice = f.take(1);
  CHECK(f.table.oldest(kStart + 15s) == 5s);
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.table.oldest(kStart + 15s) == 2s);
  f.drain();
  CHECK(f.table.oldest(kStart + 15s) == 0s);
}

TEST_CASE("ANewerTimeIsAsOldAsTheEndOfTheFlightBeforeIt", "[backlog]") {
  Fixture f;
  f.add("/a", 1);
  const Slice slice = f.take();
  f.add("/a", 2);
  f.table.advance(kStart + 10s);
  f.table.settle(slice.entries.at(0).ticket);
  CHECK(f.table.oldest(kStart + 15s) == 5s);
  f.drain();
  CHECK(f.table.oldest(kStart + 15s) == 0s);
}

TEST_CASE("MemoryOfNamesAndPathsIsGivenBack", "[backlog]") {
  Fixture f;
  const auto fill = [&f] {
    for (int i = 0; i < 5'000; ++i)
      f.add("/directory/" + std::to_string(i % 50) + "/" + std::string(100, 'x') + std::to_string(i), 1);
  };
  fill();
  const std::size_t full = f.table.bytes();
  f.drain();
  const std::size_t empty = f.table.bytes();
  CHECK(empty + 5'000 * 100 < full);
  fill();
  CHECK(f.table.bytes() < full + full / 20);
}

TEST_CASE("AllMemoryIsGivenBack", "[backlog]") {
  Fixture f;
  const std::size_t empty = f.table.bytes();
  SECTION("of items that were put back") {
    for (int i = 0; i < 50'000; ++i) f.add("/d/" + std::to_string(i), 1);
    const std::size_t full = f.table.bytes();
    for (Slice slice = f.take(); !slice.entries.empty(); slice = f.take()) {
      for (const auto& entry : slice.entries) f.table.put_back(entry.ticket, kStart + 1s, {});
    }
    CHECK(f.table.bytes() < full + full / 5);
    f.table.advance(kStart + 1s);
    f.drain();
  }
  SECTION("of directories") {
    for (int i = 0; i < 50'000; ++i) f.add('/' + std::to_string(i) + "/x", 1);
    f.drain();
  }
  SECTION("of flights") {
    for (int i = 0; i < 50'000; ++i) f.add("/d/" + std::to_string(i), 1);
    for (const auto& entry : f.take(50'000).entries) f.table.settle(entry.ticket);
  }
  SECTION("of ages, which take none for the time between them") {
    Fixture same_age;
    for (int i = 0; i < 1'000; ++i) {
      f.table.advance(kStart + i * 1'000'000s);
      f.add('/' + std::to_string(i), 1);
      same_age.add('/' + std::to_string(i), 1);
    }
    CHECK(f.table.bytes() > same_age.table.bytes() + 32'000);
    CHECK(f.table.bytes() < empty + (300 << 10));
    f.drain();
  }
  CHECK(f.table.pending() == 0);
  CHECK(f.table.bytes() < empty + (210 << 10));  // a block of each kind
}

}  // namespace qatime::backlog::pending_table_test

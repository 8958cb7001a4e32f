// SPDX-License-Identifier: MIT
#include "backlog/local.h"

#include <atomic>
#include <map>
#include <thread>

#include "catch.h"
#include "manual_clock.h"

namespace qatime::backlog::local_test {

using namespace std::chrono_literals;

namespace {

Time at(int seconds) { return Time{std::chrono::seconds{seconds}}; }

struct Fixture {
  explicit Fixture(std::vector<std::string> paths = {"/"}, std::size_t memory = 64 << 20)
      : backlog{BacklogConfig{.memory = memory}, Exports{std::move(paths)}, clock, registry} {}

  void add(const Event& event) {
    if (std::holds_alternative<Access>(event)) ++accepted;
    backlog.add({&event, 1});
  }
  void access(std::string_view path, int time) { add(Access{path, at(time)}); }
  void move(std::string_view path, std::string_view target, int time) { add(Move{path, target, at(time)}); }
  void remove(std::string_view path, int time) { add(Removal{path, false, at(time)}); }
  void remove_tree(std::string_view path, int time) { add(Removal{path, true, at(time)}); }

  // Takes one entry, of which there must be one.
  Entry take_one() {
    const Slice slice = backlog.take(0, 1);
    REQUIRE(slice.entries.size() == 1);
    return slice.entries[0];
  }
  void settle(const Entry& entry) {
    backlog.settle(entry.ticket);
    ++settled;
  }

  // All that can be taken now: path -> seconds.
  std::map<std::string, int> drain() {
    std::map<std::string, int> found;
    for (std::size_t export_index = 0; export_index < 2; ++export_index) {
      for (Slice slice = backlog.take(export_index, 10); !slice.entries.empty();
           slice = backlog.take(export_index, 10)) {
        for (const Entry& entry : slice.entries) {
          found[join(slice.directory, entry.name)] = static_cast<int>(entry.time.time_since_epoch() / 1s);
          settle(entry);
        }
      }
    }
    return found;
  }

  [[nodiscard]] std::int64_t sum(std::string_view name) const { return registry.sum(name); }
  [[nodiscard]] bool adds_up() const {
    const auto pending = static_cast<std::int64_t>(backlog.pending());
    return pending == sum("qatime_pending_entries") &&
           accepted + sum("qatime_recovered_total") == sum("qatime_coalesced_total") + sum("qatime_cancelled_total") +
                                                           settled + sum("qatime_dropped_total") + pending;
  }

  ManualClock clock;
  metrics::Registry registry;
  Local backlog;
  std::int64_t accepted = 0;
  std::int64_t settled = 0;
};

using Found = std::map<std::string, int>;

}  // namespace

TEST_CASE("AccessesCoalesceToTheNewestTimeAndAreCounted", "[backlog]") {
  Fixture f{{"/", "/data"}};
  f.access("/d/a", 5);
  f.access("/d/a", 7);
  f.access("/d/a", 6);
  f.access("/data/b", 1);
  CHECK(f.backlog.pending() == 2);
  CHECK(f.sum("qatime_coalesced_total") == 2);
  CHECK(f.sum("qatime_backlog_bytes") > 0);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/d/a", 7}, {"/data/b", 1}});
  CHECK(f.sum("qatime_pending_entries") == 0);
  CHECK(f.adds_up());
}

TEST_CASE("EventsAreCopied", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  std::string path = "/directory/with/a/long/name/file-with-a-long-name";
  const std::string copy = path;
  f.access(path, 1);
  path.assign(path.size(), 'x');
  CHECK(f.drain() == Found{{copy, 1}});
}

TEST_CASE("SettlingTheOlderNeverLosesTheNewer", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  const Entry entry = f.take_one();
  f.access("/a", 2);
  CHECK(f.backlog.pending() == 2);
  CHECK(f.sum("qatime_in_flight") == 1);
  CHECK(f.adds_up());
  f.settle(entry);
  CHECK(f.sum("qatime_in_flight") == 0);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/a", 2}});
}

TEST_CASE("WhatIsPutBackBecomesOneWithTheNewerThatWaits", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  const Entry entry = f.take_one();
  f.access("/a", 2);
  f.backlog.put_back(entry.ticket, f.clock.now() + 1s, {.attempts = 1, .since = f.clock.now()});
  CHECK(f.backlog.pending() == 1);
  CHECK(f.sum("qatime_coalesced_total") == 1);
  CHECK(f.adds_up());
  CHECK(f.drain().empty());
  CHECK(f.backlog.next_due() == f.clock.now() + 1s);
  f.clock.advance(1s);
  CHECK(f.drain() == Found{{"/a", 2}});
  CHECK_FALSE(f.backlog.next_due());
}

TEST_CASE("ARenameMovesTheWholeSubtreeUpToItsTime", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/d", 1);
  f.access("/d/a", 2);
  f.access("/d/e/b", 3);
  f.access("/d/late", 9);
  f.access("/dd", 1);
  f.move("/d", "/n", 5);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/n", 1}, {"/n/a", 2}, {"/n/e/b", 3}, {"/d/late", 9}, {"/dd", 1}});
}

TEST_CASE("ARenameCancelsWhatItsTargetHad", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  f.access("/b", 2);
  f.access("/b/x", 3);
  f.access("/b/y", 9);
  f.move("/a", "/b", 5);
  CHECK(f.sum("qatime_cancelled_total") == 2);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/b", 1}, {"/b/y", 9}});
}

TEST_CASE("WhatMovesOntoANewerTimeCoalesces", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  f.access("/b", 9);
  f.move("/a", "/b", 5);
  CHECK(f.sum("qatime_coalesced_total") == 1);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/b", 9}});
}

TEST_CASE("RenamesThatChangeNothingChangeNothing", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a/b", 1);
  f.move("/a", "/a", 5);
  f.move("/a", "/a/b/c", 5);
  f.move("/a/b", "/a", 5);
  CHECK(f.drain() == Found{{"/a/b", 1}});
}

TEST_CASE("ARenameThatComesAgainIsOne", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/d/a", 1);
  f.access("/d/a", 8);  // a new file under the old name
  f.move("/d/a", "/d/b", 5);
  f.clock.advance(59s);
  f.move("/d/a", "/d/b", 5);
  CHECK(f.sum("qatime_repeated_changes_total") == 1);
  CHECK(f.drain() == Found{{"/d/a", 8}, {"/d/b", 1}});
  CHECK(f.adds_up());
}

TEST_CASE("ThereAndBackAgainTwiceIsOnce", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  for (int times = 0; times < 2; ++times) {
    f.move("/a", "/b", 2);
    f.move("/b", "/a", 3);
  }
  f.access("/b", 2);  // gone with the first
  CHECK(f.sum("qatime_repeated_changes_total") == 2);
  CHECK(f.drain() == Found{{"/a", 1}});
  CHECK(f.adds_up());
}

TEST_CASE("ChangesThatComeAgainInOneBatchAreOne", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  const std::vector<Event> batch{Access{"/a", at(1)},        Move{"/a", "/b", at(2)}, Removal{"/a", false, at(2)},
                                 Removal{"/a", true, at(2)}, Move{"/a", "/b", at(2)}, Removal{"/a", false, at(2)},
                                 Removal{"/a", true, at(2)}};
  f.backlog.add(batch);
  ++f.accepted;
  CHECK(f.sum("qatime_repeated_changes_total") == 3);
  CHECK(f.drain() == Found{{"/b", 1}});
  CHECK(f.adds_up());
}

TEST_CASE("DifferentChangesAtOneTimeAreAllApplied", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  f.access("/x/y", 1);
  f.move("/a", "/b", 2);
  f.move("/b", "/c", 2);
  f.remove("/x", 2);
  f.remove_tree("/x", 2);
  f.move("/a", "/c", 3);  // another time: another file
  CHECK(f.sum("qatime_repeated_changes_total") == 0);
  CHECK(f.drain().empty());
  CHECK(f.sum("qatime_cancelled_total") == 2);
}

TEST_CASE("ARepeatedChangeMakesNothingDoubtful", "[backlog]") {
  Fixture f;
  f.move("/a", "/b", 5);
  static_cast<void>(f.backlog.take_invalidations());
  f.move("/a", "/b", 5);
  f.move("/a", "/a/b", 5);  // changes nothing
  CHECK(f.backlog.take_invalidations().paths.empty());
}

TEST_CASE("RemovalsCancelOneObjectOrTheSubtree", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  for (const char* path : {"/a", "/a/x", "/b", "/b/x", "/b/y/z"}) f.access(path, 1);
  f.access("/b/recreated", 9);
  f.remove("/a", 5);
  f.remove_tree("/b", 5);
  CHECK(f.sum("qatime_cancelled_total") == 4);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/a/x", 1}, {"/b/recreated", 9}});
}

TEST_CASE("AccessesThatComeLateFollowTheChangesOfTheLastMinute", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.move("/a", "/b", 5);
  f.remove("/c", 5);
  f.clock.advance(59s);
  f.access("/a/x", 4);
  f.access("/a/x", 6);
  f.access("/c", 4);
  CHECK(f.sum("qatime_cancelled_total") == 1);
  CHECK(f.drain() == Found{{"/b/x", 4}, {"/a/x", 6}});
  f.clock.advance(1s);
  f.access("/a/x", 4);
  CHECK(f.drain() == Found{{"/a/x", 4}});
  CHECK(f.adds_up());
}

TEST_CASE("ChangesAreRememberedAsLongAndAsManyAsTheOwnerWants", "[backlog]") {
  ManualClock clock;
  metrics::Registry registry;
  const auto late = [&](Local& backlog) {
    backlog.add(std::vector<Event>{Move{"/a", "/b", at(5)}});
    clock.advance(23h);
    backlog.add(std::vector<Event>{Move{"/c", "/d", at(6)}});
    backlog.add(std::vector<Event>{Access{"/a/x", at(4)}});
    return backlog.take(0, 1).directory;
  };
  Local forgetful{BacklogConfig{}, Exports{}, clock, registry};
  Local lasting{BacklogConfig{}, Exports{}, clock, registry, {24h}};
  Local small{BacklogConfig{}, Exports{}, clock, registry, {24h, 600}};
  CHECK(late(forgetful) == "/a");
  CHECK(late(lasting) == "/b");
  CHECK(late(small) == "/a");
}

TEST_CASE("WhatALateRenameMovesGoesOnThroughLaterChanges", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  f.access("/d/x", 1);
  f.access("/d/y/z", 1);
  f.move("/b", "/c", 20);
  f.remove("/e/x", 20);
  f.move("/a", "/b", 10);
  f.move("/d", "/e", 10);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/c", 1}, {"/e/y/z", 1}});
  CHECK(f.adds_up());
}

TEST_CASE("ALateRenameBringsBackWhatARemovalHadCancelled", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a/x", 1);
  f.remove_tree("/a", 9);
  CHECK(f.sum("qatime_cancelled_total") == 1);
  f.move("/a", "/b", 5);
  CHECK(f.sum("qatime_recovered_total") == 1);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/b/x", 1}});
}

TEST_CASE("ALateRenameTakesTheOlderTimeFromUnderTheNewer", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/log", 1);
  f.access("/log", 9);
  f.move("/log", "/log.1", 5);
  CHECK(f.sum("qatime_recovered_total") == 1);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/log.1", 1}, {"/log", 9}});
}

TEST_CASE("WhatIsInFlightUnderALaterNameFollowsALateRenameToWhereThatLeads", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/b", 1);
  f.move("/b", "/c", 9);
  const Entry entry = f.take_one();
  SECTION("it had another name") {
    f.move("/b", "/e", 5);
    CHECK(f.backlog.reconsider(entry.ticket));
    CHECK(f.drain() == Found{{"/e", 1}});
  }
  SECTION("it was replaced before") {
    f.move("/a", "/b", 5);
    CHECK(f.backlog.reconsider(entry.ticket));
    CHECK(f.sum("qatime_cancelled_total") == 1);
    CHECK(f.drain().empty());
  }
  SECTION("it was replaced earlier than it was accessed") {
    f.move("/a", "/b", 0);
    CHECK_FALSE(f.backlog.reconsider(entry.ticket));
  }
  CHECK(f.adds_up());
}

TEST_CASE("WhatARemovalEndedStaysGoneWhenTheRemovalIsForgotten", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.move("/x", "/y", 20);
  f.remove_tree("/a", 9);
  f.clock.advance(59s);
  f.access("/a/x", 1);
  f.move("/a/z", "/q", 19);
  f.clock.advance(2s);
  f.move("/a/x", "/b", 5);
  CHECK(f.drain().empty());
  CHECK(f.adds_up());
}

TEST_CASE("WhatMovesOutOfAllExportsIsCancelled", "[backlog]") {
  Fixture f{{"/data", "/other"}};
  f.access("/data/a", 1);
  f.access("/data/d/b", 1);
  f.access("/data/c", 1);
  f.move("/data/a", "/trash/a", 5);
  f.move("/data/d", "/trash/d", 5);
  f.move("/data/c", "/other/c", 5);
  CHECK(f.sum("qatime_cancelled_total") == 2);
  CHECK(f.adds_up());
  CHECK(f.drain() == Found{{"/other/c", 1}});
}

TEST_CASE("WhatIsInFlightIsLookedAtAgainInTheLightOfChanges", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  const Entry entry = f.take_one();
  CHECK_FALSE(f.backlog.reconsider(entry.ticket));

  SECTION("moved: it waits under its new name") {
    f.move("/a", "/b", 5);
    CHECK(f.backlog.reconsider(entry.ticket));
    CHECK(f.adds_up());
    CHECK(f.drain() == Found{{"/b", 1}});
  }
  SECTION("moved, and put back: the same") {
    f.move("/a", "/b", 5);
    f.backlog.put_back(entry.ticket, f.clock.now() + 1h, {});
    CHECK(f.adds_up());
    CHECK(f.drain() == Found{{"/b", 1}});
  }
  SECTION("removed: it is cancelled") {
    f.remove("/a", 5);
    CHECK(f.backlog.reconsider(entry.ticket));
    CHECK(f.sum("qatime_cancelled_total") == 1);
    CHECK(f.backlog.pending() == 0);
  }
  SECTION("something else changed: nothing happens") {
    f.remove("/a", 0);
    f.move("/x", "/y", 5);
    CHECK_FALSE(f.backlog.reconsider(entry.ticket));
    CHECK(f.backlog.pending() == 1);
  }
  SECTION("what waits behind it moves at once, and what is newer than the move stays") {
    f.access("/a", 2);
    f.move("/a", "/b", 5);
    f.access("/a", 9);
    CHECK(f.backlog.reconsider(entry.ticket));
    CHECK(f.adds_up());
    CHECK(f.drain() == Found{{"/b", 2}, {"/a", 9}});
  }
  CHECK(f.adds_up());
}

TEST_CASE("WhatWasTakenAfterAChangeIsNotMovedByItAgain", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  f.access("/a", 1);
  f.move("/a", "/b", 5);
  const Entry entry = f.take_one();
  CHECK_FALSE(f.backlog.reconsider(entry.ticket));
  f.backlog.put_back(entry.ticket, f.clock.now(), {});
  CHECK(f.drain() == Found{{"/b", 1}});
  CHECK(f.adds_up());
}

TEST_CASE("MovesAndRemovalsMakeTheirPathsDoubtful", "[backlog]") {
  Fixture f;
  f.move("/a", "/b", 5);
  f.remove("/c", 5);
  const auto invalidations = f.backlog.take_invalidations();
  CHECK(invalidations.paths == std::vector<std::string>{"/a", "/b", "/c"});
  CHECK_FALSE(invalidations.everything);
  CHECK(f.backlog.take_invalidations().paths.empty());
}

TEST_CASE("TooManyDoubtfulPathsAreEverything", "[backlog]") {
  Fixture f;
  const std::string path = "/" + std::string(200, 'x');
  for (int i = 0; i < 10'000; ++i) f.remove(path, i);
  CHECK(f.backlog.take_invalidations().everything);
  f.remove(path, 10'000);
  const auto next = f.backlog.take_invalidations();
  CHECK_FALSE(next.everything);
  CHECK(next.paths.size() == 1);
}

TEST_CASE("DoubtfulPathsTakeAnEighthOfTheMemoryAndAreCounted", "[backlog]") {
  constexpr std::size_t kMemory = 1 << 20;
  Fixture f{{"/"}, kMemory};
  const auto bytes = [&f] { return f.sum("qatime_backlog_bytes"); };
  const std::string path = "/" + std::string(1'000, 'x');
  f.remove(path, 5);
  const auto before = bytes();
  static_cast<void>(f.backlog.take_invalidations());
  CHECK(f.backlog.take(0, 1).entries.empty());
  CHECK(bytes() <= before - 1'000);
  for (int i = 0; i < static_cast<int>(kMemory) / 8 / 1'000 + 1; ++i) f.remove(path, 6 + i);
  const auto many = bytes();
  CHECK(f.backlog.take_invalidations().everything);
  CHECK(f.backlog.take(0, 1).entries.empty());
  CHECK(bytes() == many);
}

TEST_CASE("MemoryIsBoundedWhatFindsNoRoomIsCountedAndWhatIsThereStillCoalesces", "[backlog]") {
  Fixture f{{"/", "/unused"}, 4 << 20};
  for (int i = 0; i < 100'000; ++i) f.access("/d" + std::to_string(i % 10) + "/name" + std::to_string(i), 1);
  const auto dropped = f.sum("qatime_dropped_total");
  CHECK(dropped > 10'000);
  CHECK(f.backlog.pending() > 10'000);
  CHECK(f.sum("qatime_backlog_bytes") < (4 << 20) + (1 << 18));
  CHECK(f.adds_up());

  f.access("/d0/name0", 9);
  CHECK(f.sum("qatime_dropped_total") == dropped);
  f.move("/d0", "/e0", 5);
  f.move("/d1/name1", "/e1/other", 5);
  f.remove_tree("/d2", 5);
  CHECK(f.adds_up());
  f.access("/new", 1);
  CHECK(f.sum("qatime_dropped_total") == dropped);

  const Found found = f.drain();
  CHECK(found.at("/d0/name0") == 9);
  CHECK(found.at("/e0/name10") == 1);
  CHECK(found.at("/e1/other") == 1);
  CHECK_FALSE(found.contains("/d2/name2"));
  CHECK(f.adds_up());
}

TEST_CASE("AFullBacklogThatWasRetriedAndSettledTakesInAsMuchAgain", "[one-thread]") {
  constexpr std::size_t kMemory = 8 << 20;
  constexpr std::size_t kBlocks = 256 << 10;
  Fixture f{{"/"}, kMemory};
  const auto bytes = [&f] { return static_cast<std::size_t>(f.sum("qatime_backlog_bytes")); };
  const auto fill = [&f](const std::string& prefix, const std::string& suffix) {
    const auto dropped = f.sum("qatime_dropped_total");
    for (int i = 0; f.sum("qatime_dropped_total") < dropped + 1'000; ++i)
      f.access(prefix + std::to_string(i) + suffix, 1);
    return f.backlog.pending();
  };
  const auto settle_all = [&f] {
    for (Slice slice = f.backlog.take(0, 100); !slice.entries.empty(); slice = f.backlog.take(0, 100)) {
      for (const Entry& entry : slice.entries) f.settle(entry);
    }
    CHECK(f.backlog.pending() == 0);
  };
  const std::size_t count = fill("/files/", "");
  CHECK(count > 50'000);
  CHECK(bytes() < kMemory + kBlocks);
  for (int round = 0; round < 3; ++round) {
    for (Slice slice = f.backlog.take(0, 100); !slice.entries.empty(); slice = f.backlog.take(0, 100)) {
      for (const Entry& entry : slice.entries) f.backlog.put_back(entry.ticket, f.clock.now() + 1s, entry.retry);
    }
    CHECK(bytes() < kMemory + kMemory / 5 + kBlocks);
    f.clock.advance(1s);
  }
  CHECK(f.backlog.pending() == count);
  settle_all();
  CHECK(bytes() < kBlocks);

  const std::size_t directories = fill("/directories/", "/x");  // other memory than that of files
  CHECK(directories > 20'000);
  CHECK(bytes() < kMemory + kBlocks);
  settle_all();
  CHECK(fill("/other/", "") > count - 2'000);
  CHECK(f.adds_up());
}

TEST_CASE("WorkWakesItsOwnerOutsideTheLock", "[backlog]") {
  Fixture f{{"/", "/data"}};
  int woken = 0;
  f.backlog.on_work([&] {
    ++woken;
    static_cast<void>(f.backlog.pending());  // would never return under the lock
  });
  f.access("/a", 1);
  CHECK(woken == 1);
  f.access("/data/a", 1);
  CHECK(woken == 2);
  f.move("/x", "/y", 1);
  CHECK(woken == 2);
  f.drain();
  f.access("/a", 1);
  CHECK(woken == 3);
  const Entry entry = f.take_one();
  f.move("/a", "/b", 5);
  f.access("/a", 3);
  CHECK(woken == 4);
  f.settle(entry);
}

TEST_CASE("TheAgeOfTheOldestIsTold", "[backlog]") {
  Fixture f{{"/", "/unused"}};
  CHECK(f.backlog.oldest() == 0s);
  f.clock.advance(30s);
  f.access("/a", 1);
  CHECK(f.backlog.oldest() == 0s);
  f.clock.advance(90s);
  f.access("/b", 1);
  CHECK(f.backlog.oldest() == 90s);
  f.drain();
  CHECK(f.backlog.oldest() == 0s);
}

// One thread adds ever newer times in an order of its own, another applies them: each path must come out in strictly
// growing times, with the newest at the end.
TEST_CASE("ApplyingWhileAddingLosesNothing", "[backlog][threads]") {
  constexpr int kPaths = 97;
  constexpr int kTimes = 20'000;
  Fixture f;
  std::atomic<bool> done{false};
  std::atomic<int> woken{0};
  f.backlog.on_work([&] { ++woken; });
  std::thread intake{[&] {
    std::vector<std::string> paths;
    for (int i = 0; i < kPaths; ++i) paths.push_back("/d" + std::to_string(i % 7) + "/" + std::to_string(i));
    std::vector<Event> batch;
    for (int i = 0; i < kTimes; ++i) {
      batch.emplace_back(Access{paths.at(static_cast<std::size_t>(i % kPaths)), at(i)});
      if (batch.size() < 50 && i + 1 < kTimes) continue;
      f.backlog.add(batch);
      batch.clear();
    }
    done = true;
  }};
  std::map<std::string, Time> applied;
  bool in_order = true;
  std::int64_t settled = 0;
  const auto limit = std::chrono::steady_clock::now() + 60s;
  while ((!done || f.backlog.pending() > 0) && std::chrono::steady_clock::now() < limit) {
    const Slice slice = f.backlog.take(0, 5);
    for (const Entry& entry : slice.entries) {
      if (entry.name.ends_with('3') && entry.retry.attempts == 0) {
        f.backlog.put_back(entry.ticket, f.clock.now(), {.attempts = 1, .since = f.clock.now()});
        continue;
      }
      Time& last = applied[join(slice.directory, entry.name)];
      in_order = in_order && (last == Time{} || last < entry.time);
      last = entry.time;
      f.backlog.settle(entry.ticket);
      ++settled;
    }
  }
  intake.join();
  CHECK(in_order);
  CHECK(woken > 0);
  CHECK(f.sum("qatime_coalesced_total") + settled == kTimes);
  REQUIRE(applied.size() == kPaths);
  for (int i = kTimes - kPaths; i < kTimes; ++i) {
    const int path = i % kPaths;
    CHECK(applied.at("/d" + std::to_string(path % 7) + "/" + std::to_string(path)) == at(i));
  }
}

}  // namespace qatime::backlog::local_test

// SPDX-License-Identifier: MIT
#include "redis/claims.h"

#include <set>

#include <fmt/core.h>

#include "catch.h"
#include "manual_clock.h"

namespace qatime::backlog::redis::claims_test {

using namespace std::chrono_literals;

namespace {

Time at(int second) { return Time{std::chrono::seconds{second}}; }
std::int64_t score(int second) { return to_score(at(second)); }

// Claims with two shards of its own, and what was settled of it.
struct Fixture {
  explicit Fixture(std::vector<std::string> paths = {"/"}) : exports{std::move(paths)} {
    for (const unsigned shard : {0U, 1U}) claims.hold(shard, clock.now() + 10s);
  }

  Claims::Offer offer(std::string member, int second, unsigned shard = 0) {
    return claims.offer(shard, {{std::move(member), score(second)}});
  }

  // All that can be taken, as "path second".
  std::multiset<std::string> take() {
    std::multiset<std::string> found;
    for (Slice slice = claims.take(0, 100); !slice.entries.empty(); slice = claims.take(0, 100)) {
      for (const Entry& entry : slice.entries) {
        found.insert(fmt::format("{} {}", join(slice.directory, entry.name), entry.time.time_since_epoch() / 1s));
        tickets.push_back(entry.ticket);
      }
    }
    return found;
  }

  // Settles all that was taken; what Redis is to remove, as "member second".
  std::multiset<std::string> settle() {
    for (const Ticket ticket : tickets) {
      claims.settle(ticket);
      ++outcomes;
    }
    tickets.clear();
    return settled();
  }

  std::multiset<std::string> settled(bool is_removed = true) {
    std::multiset<std::string> found;
    for (const auto& each : claims.take_settled(100)) {
      found.insert(fmt::format("{} {}", each.member, each.score / 1'000'000));
      claims.finish(each, is_removed);
    }
    return found;
  }

  void check_sums() {
    const auto sum = [&](const char* name) { return registry.sum(name); };
    CHECK(sum("qatime_claimed_total") + sum("qatime_recovered_total") ==
          sum("qatime_coalesced_total") + sum("qatime_cancelled_total") + sum("qatime_dropped_total") +
              sum("qatime_handed_over_total") + outcomes + sum("qatime_pending_entries"));
  }

  ManualClock clock;
  metrics::Registry registry;
  Exports exports;
  SharedCounters counters{registry};
  Claims claims{exports, 2, 1s, clock, counters, registry};
  std::vector<Ticket> tickets;
  std::int64_t outcomes = 0;
  Clock::Instant arrival{};
};

using Found = std::multiset<std::string>;

}  // namespace

TEST_CASE("A member is taken once, and is settled with its score") {
  Fixture f;
  CHECK(f.offer("/a/b", 5).taken == 1);
  CHECK(f.offer("/a/b", 5).known == 1);
  CHECK(f.claims.take_news());
  CHECK(f.take() == Found{"/a/b 5"});
  CHECK(f.offer("/a/b", 6).known == 1);  // it is in flight
  CHECK(f.take().empty());
  CHECK(f.settle() == Found{"/a/b 5"});
  CHECK(f.claims.known(0) == 0);
  f.check_sums();
}

TEST_CASE("A newer time that came meanwhile is claimed again") {
  Fixture f;
  f.offer("/a", 5);
  f.take();
  f.claims.settle(f.tickets[0]);
  ++f.outcomes;
  CHECK(f.settled(false) == Found{"/a 5"});
  CHECK(f.offer("/a", 6).taken == 1);
  f.check_sums();
}

TEST_CASE("A move is followed, whether it or the access came first") {
  Fixture f;
  const bool is_late = GENERATE(false, true);
  if (!is_late) f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.offer("/a/x", 5);
  f.offer("/a/y", 15);  // another directory of that name
  f.offer("/b/z", 5);   // replaced
  if (is_late) f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  CHECK(f.take() == Found{"/a/y 15", "/b/x 5"});
  CHECK(f.settle() == Found{"/a/x 5", "/a/y 15", "/b/z 5"});
  CHECK(f.registry.sum("qatime_cancelled_total") == 1);
  f.check_sums();
}

TEST_CASE("The same change twice is one") {
  Fixture f;
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival + 1s);
  f.claims.learn(Removal{"/a", false, at(10)}, f.arrival + 1s);  // another one
  f.offer("/a", 5);
  CHECK(f.take() == Found{"/b 5"});
  CHECK(f.claims.changes() == 2);
  CHECK(f.registry.sum("qatime_repeated_changes_total") == 1);
}

TEST_CASE("The same change twice is one as long as it is remembered") {
  Fixture f;
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.claims.learn(Removal{"/x", false, at(5)}, f.arrival + 50s);  // which it waits for
  f.claims.forget(f.arrival + 40s);
  CHECK(f.claims.changes() == 2);
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival + 70s);
  f.offer("/a", 5);
  CHECK(f.take() == Found{"/b 5"});
  CHECK(f.claims.changes() == 2);
}

TEST_CASE("Two members of one object are one entry with the newest time") {
  Fixture f;
  f.offer("/a", 5);
  f.offer("/b", 12, 1);
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  CHECK(f.take() == Found{"/b 12"});
  CHECK(f.settle() == Found{"/a 5", "/b 12"});
  CHECK(f.registry.sum("qatime_coalesced_total") == 1);
  f.check_sums();
}

TEST_CASE("A newer member of an object in flight waits for its end") {
  Fixture f;
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.offer("/a", 5);
  CHECK(f.take() == Found{"/b 5"});
  f.offer("/b", 12);
  CHECK(f.take().empty());
  CHECK(f.settle() == Found{"/a 5"});
  CHECK(f.take() == Found{"/b 12"});
  CHECK(f.settle() == Found{"/b 12"});
  f.check_sums();
}

TEST_CASE("What is in flight is looked at again in the light of a change") {
  Fixture f;
  f.offer("/a/x", 5);
  f.take();
  CHECK_FALSE(f.claims.reconsider(f.tickets[0]));
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  CHECK(f.claims.take_invalidations().paths == std::vector<std::string>{"/a", "/b"});
  SECTION("when its object was not there") { CHECK(f.claims.reconsider(f.tickets[0])); }
  SECTION("when it is put back") { f.claims.put_back(f.tickets[0], f.clock.now() + 5s, {}); }
  f.tickets.clear();
  CHECK(f.take() == Found{"/b/x 5"});
  CHECK(f.settle() == Found{"/a/x 5"});
  f.check_sums();
}

TEST_CASE("What was removed is cancelled") {
  Fixture f;
  f.offer("/a/x", 5);
  f.offer("/a/y", 5);
  f.take();
  f.offer("/a/z", 5);
  f.claims.learn(Removal{"/a", true, at(10)}, f.arrival);
  CHECK(f.claims.reconsider(f.tickets[0]));
  f.tickets.erase(f.tickets.begin());
  CHECK(f.take().empty());
  CHECK(f.settle() == Found{"/a/x 5", "/a/y 5", "/a/z 5"});
  CHECK(f.registry.sum("qatime_cancelled_total") == 2);
  f.check_sums();
}

TEST_CASE("What is put back waits for its moment") {
  Fixture f;
  f.offer("/a", 5);
  f.take();
  f.claims.put_back(f.tickets[0], f.clock.now() + 5s, {.attempts = 3});
  f.tickets.clear();
  CHECK(f.take().empty());
  CHECK(f.claims.next_due() == f.clock.now() + 5s);
  CHECK(f.offer("/a", 5).known == 1);
  f.clock.advance(5s);
  const Slice slice = f.claims.take(0, 1);
  REQUIRE(slice.entries.size() == 1);
  CHECK(slice.entries[0].retry.attempts == 3);
  f.check_sums();
}

TEST_CASE("What falls due at once waits again in parts") {
  constexpr std::size_t kCount = 2 * PendingTable::kMostReleased;
  Fixture f;
  for (std::size_t i = 0; i < kCount; ++i) f.offer("/" + std::to_string(i), 5);
  for (const Entry& entry : f.claims.take(0, kCount).entries) {
    f.claims.put_back(entry.ticket, f.clock.now() + 5s, {.attempts = 1});
  }
  f.clock.advance(6s);
  CHECK(f.claims.take(0, 1).left == PendingTable::kMostReleased - 1);
  CHECK(f.claims.next_due() < f.clock.now());
  CHECK(f.claims.take(0, 1).left == kCount - 2);
  CHECK_FALSE(f.claims.next_due());
}

TEST_CASE("Nothing of a shard is worked on that was given up or has expired") {
  Fixture f;
  f.offer("/a", 5, 0);
  f.offer("/b", 5, 1);
  CHECK(f.take() == Found{"/a 5", "/b 5"});
  f.offer("/c", 5, 0);
  f.offer("/d", 5, 1);
  f.claims.hold(1, f.clock.now() + 20s);
  const Ticket ticket = f.tickets[0];
  CHECK(f.claims.is_held(ticket));
  SECTION("given up") { f.claims.give_up(0); }
  SECTION("expired") { f.clock.advance(11s); }
  CHECK_FALSE(f.claims.is_held(ticket));
  CHECK(f.claims.is_held(f.tickets[1]));
  f.claims.put_back(ticket, f.clock.now(), {});
  f.tickets.erase(f.tickets.begin());
  f.claims.give_up(0);
  CHECK(f.claims.known(0) == 0);
  CHECK(f.take() == Found{"/d 5"});
  CHECK(f.settle() == Found{"/b 5", "/d 5"});
  CHECK(f.registry.sum("qatime_handed_over_total") == 2);
  f.check_sums();
}

TEST_CASE("No request goes out with less than the margin of the lease left") {
  Fixture f;
  f.offer("/a", 5);
  f.take();
  f.clock.advance(9s - 1ns);
  CHECK(f.claims.is_held(f.tickets[0]));
  f.clock.advance(1ns);
  CHECK_FALSE(f.claims.is_held(f.tickets[0]));
  CHECK(f.claims.is_ours(0));
}

TEST_CASE("A sweep gives members the names of today, after which changes can be forgotten") {
  Fixture f;
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.claims.learn(Move{"/b", "/c", at(20)}, f.arrival);
  f.claims.learn(Removal{"/x", false, at(10)}, f.arrival);
  CHECK(f.claims.rename("/a/1", score(5)) == "20000000001/c/1");
  CHECK(f.claims.rename("15000000000/b/1", score(5)) == "20000000001/c/1");
  CHECK_FALSE(f.claims.rename("20000000001/c/1", score(5)));
  CHECK(f.claims.rename("/x", score(5)) == "");
  CHECK_FALSE(f.claims.rename("/x", score(11)));
  CHECK_FALSE(f.claims.rename("/c/1", score(21)));
  f.claims.forget(f.arrival);
  CHECK(f.claims.changes() == 0);
  f.offer("20000000001/c/1", 5);
  CHECK(f.take() == Found{"/c/1 5"});
  CHECK(f.settle() == Found{"20000000001/c/1 5"});
}

TEST_CASE("A change is not forgotten before all has been through it") {
  Fixture f;
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival + 1s);
  f.claims.forget(f.arrival);
  CHECK(f.claims.changes() == 1);
  f.claims.forget(f.arrival + 1s);
  CHECK(f.claims.changes() == 0);
}

TEST_CASE("What a sweep has renamed is not taken for what it was") {
  Fixture f;
  f.offer("/a/1", 5);
  f.offer("/a/2", 5);
  Slice slice = f.claims.take(0, 1);
  f.claims.learn(Move{"/a", "/b", at(10)}, f.arrival);
  f.claims.renamed(0, "/a/1", "10000000001/b/1", false);
  f.claims.renamed(0, "/a/2", "10000000001/b/2", false);
  f.claims.forget(f.arrival);
  CHECK(f.take().empty());
  CHECK(f.claims.known(0) == 1);  // in flight
  f.claims.put_back(slice.entries[0].ticket, f.clock.now(), {});
  CHECK(f.claims.known(0) == 0);
  CHECK(f.take().empty());
  f.check_sums();
}

TEST_CASE("What is below no export is dropped, and what is no path") {
  Fixture f{{"/a"}};
  f.offer("/b", 5);
  f.offer("nonsense", 5);
  CHECK(f.settled() == Found{"/b 5", "nonsense 5"});
  CHECK(f.registry.sum("qatime_dropped_total") == 2);
  f.check_sums();
}

TEST_CASE("An export that gets no work leaves room to the others") {
  Fixture f{{"/a", "/b"}};
  std::vector<Claims::FoundMember> many;
  for (std::size_t i = 0; i < Claims::kSize; ++i) many.push_back({fmt::format("/a/{}", i), score(5)});
  CHECK(f.claims.offer(0, many).taken == Claims::kSize / 2);
  CHECK(f.offer("/b/1", 6).taken == 1);
}

TEST_CASE("An object that is not there is not given up while changes of names cannot be heard of") {
  Fixture f;
  f.offer("/a", 5);
  f.take();
  f.clock.advance(2s);
  CHECK(f.claims.reconsider(f.tickets[0]));
  CHECK(f.claims.known(0) == 0);
  f.claims.is_current(f.clock.now());
  f.offer("/a", 5);
  f.tickets.clear();
  CHECK(f.take() == Found{"/a 5"});
  CHECK_FALSE(f.claims.reconsider(f.tickets[0]));
  f.check_sums();
}

}  // namespace qatime::backlog::redis::claims_test

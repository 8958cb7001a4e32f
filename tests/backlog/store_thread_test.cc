// SPDX-License-Identifier: MIT
// The log of a local backlog, its store thread turned by hand. At a crash the objects go away and others open the
// file.
#include "backlog/store_thread.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backlog/local.h"
#include "catch.h"
#include "manual_clock.h"
#include "store/batches.h"
#include "store/codec.h"
#include "store/faulty_disk.h"
#include "store/store.h"
#include "temporary_directory.h"

namespace qatime::backlog::store_thread_test {

using namespace std::chrono_literals;

namespace {

// Each life would say what it found.
[[maybe_unused]] const bool kIsQuiet = (log::set_level(log::Level::error), true);

Time at(int second) { return Time{std::chrono::seconds{second}}; }
int seconds(Time time) { return static_cast<int>(time.time_since_epoch() / 1s); }

constexpr std::size_t kPlenty = 64 << 20;

// One life of a process with a backlog in `directory`.
struct Life {
  explicit Life(const std::string& directory, std::size_t memory = kPlenty, std::size_t disk = kPlenty,
                std::chrono::milliseconds commit = 100ms)
      : config{make_config(directory, memory, disk, commit)},
        local{config, Exports{}, clock, registry, {}, Local::Log::kept},
        store_thread{config, std::make_unique<Store>(directory), local, registry} {}

  static BacklogConfig make_config(const std::string& directory, std::size_t memory, std::size_t disk,
                                   std::chrono::milliseconds commit = 100ms) {
    BacklogConfig config;
    config.directory = directory;
    config.memory = memory;
    config.disk = disk;
    config.commit = commit;
    return config;
  }

  void add(const Event& event) {
    if (std::holds_alternative<Access>(event)) ++accepted;
    local.add({&event, 1});
  }
  void access(std::string_view path, int time) { add(Access{path, at(time)}); }
  void move(std::string_view path, std::string_view target, int time) { add(Move{path, target, at(time)}); }
  void remove(std::string_view path, int time) { add(Removal{path, false, at(time)}); }

  // Settles up to `limit` accesses that can be taken now, and returns them.
  std::map<std::string, int> settle(std::size_t limit) {
    std::map<std::string, int> found;
    while (found.size() < limit) {
      const Slice slice = local.take(0, limit - found.size());
      if (slice.entries.empty()) break;
      for (const Entry& entry : slice.entries) {
        found[join(slice.directory, entry.name)] = seconds(entry.time);
        local.settle(entry.ticket);
        ++settled;
      }
    }
    return found;
  }

  // All that is pending, also what is away: an older time of a path may come back before a newer one.
  std::map<std::string, int> drain() {
    std::map<std::string, int> found;
    while (local.pending() > 0) {
      for (const auto& [path, time] : settle(1'000'000)) found[path] = std::max(found[path], time);
      REQUIRE(store_thread.turn());
    }
    return found;
  }

  [[nodiscard]] std::int64_t sum(std::string_view name) const { return registry.sum(name); }
  [[nodiscard]] bool adds_up() const {
    const auto pending = static_cast<std::int64_t>(local.pending());
    return pending == sum("qatime_pending_entries") &&
           accepted + sum("qatime_recovered_total") == sum("qatime_coalesced_total") + sum("qatime_cancelled_total") +
                                                           settled + sum("qatime_dropped_total") + pending;
  }

  ManualClock clock;
  metrics::Registry registry;
  BacklogConfig config;
  Local local;
  StoreThread store_thread;
  std::int64_t accepted = 0;
  std::int64_t settled = 0;
};

std::string name(int number) { return "a-file-with-a-name-of-some-length-" + std::to_string(number); }

}  // namespace

TEST_CASE("what was committed is pending in the next life") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a/one", 10);
    life.access("/a/two", 20);
    life.access("/a/one", 30);
    CHECK(life.sum("qatime_backlog_committed_total") == 0);
    REQUIRE(life.store_thread.turn());
    CHECK(life.sum("qatime_backlog_committed_total") == 3);
    life.access("/lost", 40);
  }
  Life life{directory.path()};
  CHECK(life.local.pending() == 2);
  CHECK(life.sum("qatime_recovered_total") == 2);
  CHECK(life.drain() == std::map<std::string, int>{{"/a/one", 30}, {"/a/two", 20}});
  CHECK(life.adds_up());
}

TEST_CASE("what comes mixed is written directory by directory") {
  const TemporaryDirectory directory;
  Life life{directory.path()};
  const std::string folders[] = {'/' + std::string(200, 'a') + '/', '/' + std::string(200, 'b') + '/'};
  for (int i = 0; i < 500; ++i) life.access(folders[i % 2] + name(i), 1000 + i);
  REQUIRE(life.store_thread.turn());
  CHECK(life.local.disk_bytes() < 500 * (name(500).size() + 10) + 4 * 210);
  CHECK(life.drain().size() == 500);
}

TEST_CASE("what was settled before it was committed is not written") {
  const TemporaryDirectory directory;
  Life life{directory.path()};
  life.access("/a", 10);
  life.settle(1);
  REQUIRE(life.store_thread.turn());
  CHECK(life.local.disk_bytes() == 0);
  CHECK(life.sum("qatime_backlog_committed_total") == 1);
  CHECK(life.sum("qatime_backlog_disk_bytes") == 0);
}

TEST_CASE("rows of which nothing is needed are deleted") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a", 10);
    life.access("/b", 10);
    REQUIRE(life.store_thread.turn());
    life.access("/a", 20);
    REQUIRE(life.store_thread.turn());
    CHECK(life.settle(10).size() == 2);
    REQUIRE(life.store_thread.turn());
    CHECK(life.local.disk_bytes() == 0);
  }
  Life life{directory.path()};
  CHECK(life.local.pending() == 0);
}

TEST_CASE("a newer time that waits for a flight is not lost with it") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a", 10);
    REQUIRE(life.store_thread.turn());
    const Slice slice = life.local.take(0, 1);
    life.access("/a", 20);
    REQUIRE(life.store_thread.turn());
    life.local.settle(slice.entries.at(0).ticket);
    REQUIRE(life.store_thread.turn());
  }
  Life life{directory.path()};
  CHECK(life.drain() == std::map<std::string, int>{{"/a", 20}});
}

TEST_CASE("an access goes through the changes that were committed after it") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a/one", 10);
    life.access("/b/two", 10);
    life.access("/c", 10);
    REQUIRE(life.store_thread.turn());
    life.move("/a", "/z", 20);
    life.remove("/c", 20);
    life.access("/a/one", 30);  // another object
    REQUIRE(life.store_thread.turn());
    life.move("/b/two", "/b/three", 40);
    life.access("/b/two", 50);
    REQUIRE(life.store_thread.turn());
  }
  Life life{directory.path()};
  CHECK(life.drain() == std::map<std::string, int>{{"/z/one", 10}, {"/a/one", 30}, {"/b/three", 10}, {"/b/two", 50}});
  CHECK(life.adds_up());
}

TEST_CASE("changes of the last minute count for accesses that come after a restart") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.move("/a", "/b", 20);
    REQUIRE(life.store_thread.turn());
  }
  Life life{directory.path()};
  life.access("/a", 10);
  CHECK(life.drain() == std::map<std::string, int>{{"/b", 10}});
}

TEST_CASE("a change that comes again is one, on disk and after a restart") {
  const TemporaryDirectory directory;
  std::size_t bytes = 0;
  {
    Life life{directory.path()};
    life.access("/a", 10);
    life.access("/b/old", 10);
    REQUIRE(life.store_thread.turn());
    life.move("/a", "/b", 20);
    for (int turn = 0; turn < 2; ++turn) REQUIRE(life.store_thread.turn());
    bytes = life.local.disk_bytes();
    life.move("/a", "/b", 20);
    REQUIRE(life.store_thread.turn());
    CHECK(life.local.disk_bytes() == bytes);
    CHECK(life.sum("qatime_backlog_committed_total") == 4);
  }
  Life life{directory.path()};
  life.move("/a", "/b", 20);
  for (int turn = 0; turn < 3; ++turn) REQUIRE(life.store_thread.turn());
  life.move("/a", "/b", 20);
  CHECK(life.sum("qatime_repeated_changes_total") == 2);
  CHECK(life.local.disk_bytes() == bytes);
  CHECK(life.drain() == std::map<std::string, int>{{"/b", 10}});
  CHECK(life.adds_up());
}

TEST_CASE("a log that has a change twice is read as if it had it once") {
  const TemporaryDirectory directory;
  {
    Store store{directory.path()};
    Batch access{1, now(), 1, 0, {}, {}};
    AccessEncoder{access.entries}.add("/", "a", at(10));
    Batch changes{2, now(), 0, 2, {}, {}};
    for (int times = 0; times < 2; ++times) encode(Move{"/a", "/b", at(20)}, changes.changes);
    const std::array<const Batch*, 2> batches{&access, &changes};
    store.commit(batches, {});
  }
  Life life{directory.path()};
  life.access("/a", 15);
  CHECK(life.drain() == std::map<std::string, int>{{"/b", 15}});
  CHECK(life.adds_up());
}

TEST_CASE("a change that comes late concerns what is away") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a", 10);
    life.move("/a", "/c", 30);
    REQUIRE(life.store_thread.turn());
  }
  {
    Life life{directory.path()};
    life.move("/a", "/b", 20);  // so what was renamed at 30 was another object
    for (int turn = 0; turn < 3; ++turn) REQUIRE(life.store_thread.turn());
    CHECK(life.local.on_disk() == 0);
  }
  Life life{directory.path()};
  CHECK(life.drain() == std::map<std::string, int>{{"/b", 10}});
  CHECK(life.adds_up());
}

TEST_CASE("what finds no room in memory is away, and comes back through the changes") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 600 << 10};
  constexpr int kCount = 30'000;
  std::map<std::string, int> expected;
  for (int i = 0; i < kCount; ++i) {
    const std::string path = "/d" + std::to_string(i % 100) + '/' + name(i);
    life.access(path, 1000 + i);
    expected[path] = 1000 + i;
    if (i % 200 == 0) REQUIRE(life.store_thread.turn());
  }
  REQUIRE(life.store_thread.turn());
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.sum("qatime_backlog_bytes") < 600 << 10);
  CHECK(life.local.on_disk() > kCount / 2);
  CHECK(life.local.pending() == kCount);

  life.move("/d7", "/moved", 100'000);
  for (int i = 7; i < kCount; i += 100) {
    expected.erase("/d7/" + name(i));
    expected["/moved/" + name(i)] = 1000 + i;
  }
  life.access("/d8/" + name(kCount - 92), 200'000);  // which is away
  expected["/d8/" + name(kCount - 92)] = 200'000;
  CHECK(life.drain() == expected);
  CHECK(life.adds_up());
  CHECK(life.local.on_disk() == 0);
}

namespace {

// Accesses /d/0, /d/1 and so on, in so many rows.
void write_accesses(Store& store, std::uint64_t first, int rows, int each, Time written) {
  for (int row = 0; row < rows; ++row) {
    Batch batch{first + static_cast<std::uint64_t>(row), written, static_cast<std::uint32_t>(each), 0, {}, {}};
    AccessEncoder encoder{batch.entries};
    for (int i = row * each; i < (row + 1) * each; ++i) encoder.add("/d", std::to_string(i), at(1000));
    store.commit(&batch, {});
  }
}

// Each event that comes during a return is committed before the return goes on. Returns how many have come.
int add_during_return(Life& life, const std::function<void(int)>& add) {
  int count = 0;
  while (life.local.on_disk() > 0) {
    add(count++);
    REQUIRE(life.store_thread.turn());
    REQUIRE(life.sum("qatime_backlog_committed_total") == count);
  }
  return count;
}

}  // namespace

TEST_CASE("what comes while much comes back is committed in between") {
  const TemporaryDirectory directory;
  {
    Store store{directory.path()};
    write_accesses(store, 1, 20, 10'000, now());
  }
  Life life{directory.path()};
  const int count = add_during_return(life, [&](int i) { life.access("/new-" + std::to_string(i), 2000); });
  CHECK(count > 2);
  CHECK(life.drain().size() == 200'000 + static_cast<std::size_t>(count));
  CHECK(life.adds_up());
}

TEST_CASE("what comes while accesses come back through many changes is committed in between, and concerns them") {
  const TemporaryDirectory directory;
  constexpr int kAccesses = 100'000;  // more than one step
  constexpr int kChanges = 30'000;
  constexpr int kLate = 1'001;  // some steps after a rename, but it happened before
  const Time written = now() - 1h;
  {
    Store store{directory.path()};
    Batch access{1, written, 1, 0, {}, {}};
    AccessEncoder{access.entries}.add("/late", "a", at(1000));
    Batch change{2, written, 0, 1, {}, {}};
    encode(Move{"/late/a", "/late/c", at(1002)}, change.changes);
    const std::array<const Batch*, 2> first{&access, &change};
    store.commit(first, {});
    write_accesses(store, 3, 10, kAccesses / 10, written);
    std::vector<Batch> batches;
    std::vector<const Batch*> all;
    batches.reserve(kChanges);
    for (int i = 0; i < kChanges; ++i) {
      Batch& batch = batches.emplace_back(Batch{static_cast<std::uint64_t>(i) + 13, written, 0, 1, {}, {}});
      const std::string from = (i % 2 == 0 ? "/d/" : "/elsewhere/") + std::to_string(i);
      if (i == kLate) {
        encode(Move{"/late/a", "/late/b", at(1001)}, batch.changes);
      } else {
        encode(Move{from, "/e/" + std::to_string(i), at(1001)}, batch.changes);
      }
      all.push_back(&batches.back());
    }
    store.commit(all, {});
  }
  std::map<std::string, int> expected{{"/late/b", 1000}};
  const auto path_of = [](int i) { return (i % 2 == 0 && i < kChanges ? "/e/" : "/d/") + std::to_string(i); };
  for (int i = 0; i < kAccesses; ++i) expected[path_of(i)] = 1000;
  const auto add = [&](Life& life, int i) {
    const std::string from = path_of(i);
    const std::string to = "/f/" + std::to_string(i);
    life.move(from, to, 3000 + i);
    expected.erase(from);
    expected[to] = 1000;
  };
  {
    Life life{directory.path()};
    for (int turn = 0; turn < 3; ++turn) {
      add(life, turn);
      REQUIRE(life.store_thread.turn());
    }
    CHECK(life.local.on_disk() == kAccesses + 1);  // then it is killed
  }
  Life life{directory.path()};
  const int count = add_during_return(life, [&](int i) { add(life, i + 3); });
  CHECK(count > 3);
  CHECK(life.sum("qatime_repeated_changes_total") == 0);
  CHECK(life.adds_up());
  CHECK(life.drain() == expected);
  CHECK(life.adds_up());
}

TEST_CASE("what comes at once may take more than memory until it is committed") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  for (int i = 0; i < 50'000; ++i) life.access('/' + name(i), 1000);
  CHECK(life.sum("qatime_backlog_bytes") > 2 << 20);
  REQUIRE(life.store_thread.turn());
  CHECK(life.sum("qatime_backlog_bytes") < 1 << 20);
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.drain().size() == 50'000);
}

TEST_CASE("what comes faster than room is made overflows into the log, between the changes that concern it") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  std::map<std::string, int> expected;
  const auto access = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      life.access("/d/" + name(i), 1000 + i);
      expected["/d/" + name(i)] = 1000 + i;
    }
  };
  access(0, 30'000);
  CHECK(life.local.pending() == 30'000);
  CHECK(life.sum("qatime_backlog_bytes") < 3 << 20);
  life.move("/d/" + name(29'000), "/d/x", 50'000);  // which overflowed
  expected.erase("/d/" + name(29'000));
  expected["/d/x"] = 30'000;
  access(30'000, 32'000);
  life.move("/d/" + name(31'000), "/d/y", 50'001);  // which the table has
  expected.erase("/d/" + name(31'000));
  expected["/d/y"] = 32'000;
  REQUIRE(life.store_thread.turn());
  access(32'000, 40'000);
  life.remove("/d/" + name(39'000), 50'002);
  expected.erase("/d/" + name(39'000));
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.adds_up());
  CHECK(life.drain() == expected);
  CHECK(life.adds_up());
}

TEST_CASE("an access that overflows goes through the rename that comes with it") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  for (int i = 0; i < 10'000; ++i) life.access("/d/" + name(i), 1000);
  const std::vector<Event> batch{Access{"/x", at(2000)}, Move{"/x", "/y", at(2001)}, Access{"/x", at(2002)}};
  life.local.add(batch);
  life.accepted += 2;
  REQUIRE(life.store_thread.turn());
  const auto found = life.drain();
  CHECK(found.size() == 10'002);
  CHECK(found.at("/y") == 2000);
  CHECK(found.at("/x") == 2002);
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.adds_up());
}

// Adds accesses of 3 kB each.
struct Flood {
  void add(Life& life) { life.access('/' + std::to_string(count++) + deep + "/f", 1000); }

  std::atomic<int> count = 0;
  const std::string deep = [] {
    std::string path;
    for (int depth = 0; depth < 12; ++depth) path += '/' + std::string(250, 'x');
    return path;
  }();
};

TEST_CASE("who brings accesses faster than the disk takes them waits for it, and none is lost") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  life.local.set_patience(5min);                    // whatever the disk of this machine takes
  if (GENERATE(false, true)) life.remove("/x", 1);  // until it is written, all goes through the table
  Flood flood;
  bool is_written = false;
  std::thread disk{[&] {
    for (int before = -1; before != flood.count; std::this_thread::sleep_for(100ms)) before = flood.count;
    is_written = life.store_thread.turn();
  }};
  while (flood.count < 15'000) flood.add(life);
  disk.join();
  CHECK(is_written);
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.drain().size() == 15'000);
  CHECK(life.adds_up());
}

TEST_CASE("a disk that does not move is waited for once, until it does") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  Flood flood;
  const auto begin = std::chrono::steady_clock::now();
  while (life.sum("qatime_dropped_total") == 0) flood.add(life);
  CHECK(std::chrono::steady_clock::now() - begin > 900ms);
  for (int more = 0; more < 99; ++more) flood.add(life);
  CHECK(life.sum("qatime_dropped_total") == 100);
  REQUIRE(life.store_thread.turn());
  const auto again = std::chrono::steady_clock::now();
  while (life.sum("qatime_dropped_total") == 100) flood.add(life);
  CHECK(std::chrono::steady_clock::now() - again > 900ms);
  CHECK(life.drain().size() + 101 == static_cast<std::size_t>(flood.count));
  CHECK(life.adds_up());
}

TEST_CASE("who waits for the disk has it written at once") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 64 << 20, 1 << 30, 10s};
  Flood flood;
  while (life.sum("qatime_backlog_bytes") < 48 << 20) flood.add(life);
  REQUIRE(life.store_thread.turn());
  life.store_thread.start();
  for (int more = 0; more < 20'000; ++more) flood.add(life);  // before they are much, they are too much
  CHECK(life.sum("qatime_dropped_total") == 0);
  CHECK(life.store_thread.stop(60s));
}

TEST_CASE("what overflows while a pass goes on is written besides the items") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 1 << 20};
  for (int i = 0; i < 3000; ++i) life.access('/' + name(i), 1000);
  Local::Pass pass = life.local.begin_pass();
  Flood flood;
  while (flood.count < 1000) flood.add(life);
  Local::Draft draft;
  REQUIRE(life.local.write_some(pass, draft));
  CHECK(draft.parts.back().is_whole);
  REQUIRE(life.local.write_some(pass, draft));
  CHECK_FALSE(draft.parts.back().is_whole);
}

TEST_CASE("many small rows that are away are made one") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 480 << 10};
  constexpr int kFew = 3000;
  for (int i = 0; i < kFew; ++i) life.access('/' + name(i), 1000);
  for (int i = kFew; i < kFew + 1300; ++i) {
    life.access('/' + name(i), 1000);
    REQUIRE(life.store_thread.turn());
  }
  CHECK(life.local.rows() < 1100);
  CHECK(life.adds_up());
  CHECK(life.drain().size() == kFew + 1300);
  CHECK(life.adds_up());
}

TEST_CASE("what the log has no room for waits in memory, then it is dropped") {
  const TemporaryDirectory directory;
  Life life{directory.path(), 600 << 10, 100 << 10};
  for (int i = 0; i < 20'000; ++i) {
    life.access('/' + name(i), 1000);
    if (i % 200 == 0) REQUIRE(life.store_thread.turn());
  }
  CHECK(life.sum("qatime_dropped_total") > 0);
  CHECK(life.sum("qatime_degraded") == 1);
  CHECK(life.adds_up());
  CHECK(life.local.disk_bytes() < 200 << 10);
  life.drain();
  REQUIRE(life.store_thread.turn());  // the last has made the room
  CHECK(life.sum("qatime_backlog_committed_total") == life.accepted - life.sum("qatime_dropped_total"));
  CHECK(life.sum("qatime_degraded") == 0);
  life.access("/again", 1);
  CHECK(life.drain().size() == 1);
  CHECK(life.adds_up());
}

TEST_CASE("the log stays near the size of what is pending", "[one-thread]") {
  const TemporaryDirectory directory;
  Life life{directory.path()};
  const std::string text(200, 'x');
  constexpr int kEach = 20'000;
  for (int batch = 0; batch < 8; ++batch) {
    for (int i = 0; i < kEach; ++i)
      life.access("/d" + std::to_string(i % 50) + '/' + text + name(i + batch * kEach), 1);
    REQUIRE(life.store_thread.turn());
  }
  const std::size_t whole = life.local.disk_bytes();
  // Directories are taken in turn: of each row the same part goes.
  life.settle(kEach * 7);
  for (int turn = 0; turn < 3; ++turn) REQUIRE(life.store_thread.turn());
  CHECK(life.local.disk_bytes() < whole / 4);
  CHECK(life.drain().size() == kEach);
  CHECK(life.adds_up());
}

TEST_CASE("accesses below an export that is no more are dropped when they come back") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a/one", 10);
    life.access("/b/one", 10);
    REQUIRE(life.store_thread.turn());
  }
  ManualClock clock;
  metrics::Registry registry;
  const BacklogConfig config = Life::make_config(directory.path(), kPlenty, kPlenty);
  Local local{config, Exports{{"/a"}}, clock, registry, {}, Local::Log::kept};
  StoreThread store_thread{config, std::make_unique<Store>(directory.path()), local, registry};
  REQUIRE(store_thread.turn());
  CHECK(local.pending() == 1);
  CHECK(registry.sum("qatime_dropped_total") == 1);
}

TEST_CASE("a store thread commits by itself and ends when all is written") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.store_thread.start();
    for (int i = 0; i < 1000; ++i) life.access('/' + name(i), i);
    REQUIRE(life.store_thread.stop(60s));
    CHECK(life.sum("qatime_backlog_committed_total") == 1000);
  }
  Life life{directory.path()};
  CHECK(life.drain().size() == 1000);
}

namespace {

// A directory in which nothing can be opened, and what it takes to change that.
class Blocked {
 public:
  explicit Blocked(const std::string& directory) : file_{directory + "/backlog.db"} {
    if (std::filesystem::exists(file_)) std::filesystem::rename(file_, file_ + "-away");
    std::filesystem::create_directory(file_);
  }
  void end() {
    std::filesystem::remove(file_);
    if (std::filesystem::exists(file_ + "-away")) std::filesystem::rename(file_ + "-away", file_);
  }

 private:
  std::string file_;
};

}  // namespace

TEST_CASE("without a log at the start what comes waits in memory, and what was in the log comes when it is there") {
  const TemporaryDirectory directory;
  const int today = seconds(now());
  {
    Life life{directory.path()};
    life.access("/a/old", today);
    life.access("/b/both", today);
    REQUIRE(life.store_thread.turn());
    life.move("/c/before", "/c/after", today + 10);
    REQUIRE(life.store_thread.turn());
  }
  Blocked blocked{directory.path()};
  {
    Life life{directory.path()};
    CHECK(life.sum("qatime_degraded") == 1);
    REQUIRE(life.registry.alerts().active().size() == 1);
    CHECK(life.registry.alerts().active()[0].effect == Alerts::Effect::unready);
    CHECK_THAT(life.registry.alerts().active()[0].text,
               Catch::Contains("cannot be written") && Catch::Contains("backlog.db"));
    life.access("/a/new", today + 1);
    life.access("/b/both", today + 20);
    life.access("/c/before", today + 5);  // before a change that cannot be read yet
    life.move("/a/old", "/a/older", today + 2);
    CHECK(life.local.pending() == 3);
    CHECK(life.adds_up());
    blocked.end();
    REQUIRE(life.store_thread.turn());
    CHECK(life.sum("qatime_degraded") == 0);
    CHECK(life.registry.alerts().active().empty());
    CHECK(life.local.pending() == 4);
    CHECK(life.adds_up());
  }
  Life life{directory.path()};
  CHECK(life.drain() ==
        std::map<std::string, int>{
            {"/a/older", today}, {"/a/new", today + 1}, {"/b/both", today + 20}, {"/c/after", today + 5}});
}

TEST_CASE("whichever call the disk refuses at the start, each row is taken up once") {
  const TemporaryDirectory directory{fast_place()};
  const int today = seconds(now());
  std::map<std::string, int> expected;
  {
    Life life{directory.path()};
    for (int i = 0; i < 3; ++i) {
      life.access('/' + name(i), today);
      REQUIRE(life.store_thread.turn());
      life.move('/' + name(i), "/moved/" + name(i), today + 1);
      // More than a page, which is not read together with the rows.
      for (int j = 0; j < 1000; ++j) life.move("/x/" + name(1000 * i + j), "/y/" + name(1000 * i + j), today);
      REQUIRE(life.store_thread.turn());
      expected["/moved/" + name(i)] = today;
    }
    REQUIRE(life.store_thread.turn());  // rows go a pass later than what stands for them came
  }
  FaultyDisk disk;
  bool failed = true;
  for (std::size_t calls = 0; failed; ++calls) {
    CAPTURE(calls);
    const TemporaryDirectory copy{fast_place()};
    std::filesystem::copy(directory.path(), copy.path());
    disk.fail_after(calls, 2);  // at the start there are two attempts
    Life life{copy.path()};
    failed = disk.failed();
    CHECK(life.local.on_disk() <= expected.size());
    disk.fail_after(SIZE_MAX, 0);
    REQUIRE(life.store_thread.turn());
    REQUIRE(life.sum("qatime_recovered_total") == static_cast<std::int64_t>(expected.size()));
    CHECK(life.drain() == expected);
    CHECK(life.sum("qatime_degraded") == 0);
    CHECK(life.adds_up());
  }
}

TEST_CASE("a thread that never had a log ends, and says that nothing was kept") {
  const TemporaryDirectory directory;
  {
    Life life{directory.path()};
    life.access("/a/old", 1);
    REQUIRE(life.store_thread.turn());
  }
  Blocked blocked{directory.path()};
  {
    Life life{directory.path()};
    life.store_thread.start();
    life.access("/a/new", 1);
    CHECK_FALSE(life.store_thread.stop(10ms));
    CHECK(life.local.pending() == 1);
  }
  blocked.end();
  Life life{directory.path()};
  CHECK(life.drain() == std::map<std::string, int>{{"/a/old", 1}});
}

namespace {

// The accesses that are pending in truth, by the objects that paths name.
struct Object {
  int id;
  int time;
};
using Truth = std::map<std::string, Object>;

void move_truth(Truth& truth, const std::string& from, const std::string& to) {
  std::erase_if(truth, [&](const auto& entry) { return is_within(entry.first, to); });
  Truth moved;
  for (const auto& [path, object] : truth) moved[is_within(path, from) ? rebase(path, from, to) : path] = object;
  truth = std::move(moved);
}

// Random lives on one directory, each of which ends with a crash.
class Story {
 public:
  // All that is pending fits into memory, or hardly does; or the table always is full, so that all that is new
  // overflows.
  enum class Memory { plenty, scarce, none };

  Story(unsigned seed, const std::string& directory, Memory memory)
      : random_{seed},
        directory_{directory},
        memory_{memory == Memory::plenty   ? kPlenty
                : memory == Memory::scarce ? 288 << 10
                                           : 128 << 10},
        steps_{memory == Memory::plenty ? 400 : 3000},
        letters_{memory == Memory::plenty ? 6 : 12},
        padding_(memory == Memory::plenty ? 0 : 200, '-') {}

  void live() {
    Life life{directory_, memory_};
    Truth truth;
    Truth committed;
    for (int step = 0; step < steps_; ++step) {
      ++now_;
      switch (pick(12)) {
        case 0: {
          const auto from = path(2);
          const auto to = path(2);
          if (is_within(from, to) || is_within(to, from)) break;
          life.move(from, to, now_);
          move_truth(truth, from, to);
          break;
        }
        case 1: {
          const auto gone = path(2);
          life.remove(gone, now_);
          truth.erase(gone);
          break;
        }
        case 2:
          for (const auto& [taken, time] : life.settle(std::size_t(pick(20)))) {
            REQUIRE(truth.contains(taken));
            if (truth[taken].time == time) settled_.insert({truth[taken].id, time});
          }
          break;
        case 3:
          REQUIRE(life.store_thread.turn());
          committed = truth;
          was_away_ = was_away_ || life.local.on_disk() > 0;
          break;
        default: {
          const auto accessed = path(3);
          const auto known = truth.find(accessed);
          truth[accessed] = {known == truth.end() ? ++last_id_ : known->second.id, now_};
          life.access(accessed, now_);
        }
      }
    }
    CHECK(life.adds_up());
    if (pick(2) == 0) {
      committed = truth;
      REQUIRE(life.store_thread.turn());
    }
    committed_ = std::move(committed);
  }

  void check() {
    Life life{directory_, memory_};
    const auto found = life.drain();
    CHECK(life.adds_up());
    for (const auto& [path, object] : committed_) {
      if (settled_.contains({object.id, object.time})) continue;
      INFO(path);
      REQUIRE(found.contains(path));
      REQUIRE(found.at(path) == object.time);
    }
    for (const auto& [path, time] : found) {
      INFO(path);
      REQUIRE(committed_.contains(path));
      REQUIRE(time <= committed_.at(path).time);
    }
  }

  // Whether memory had no room for something.
  [[nodiscard]] bool was_away() const noexcept { return was_away_; }

 private:
  int pick(int count) { return std::uniform_int_distribution{0, count - 1}(random_); }
  std::string path(int depth) {
    std::string path;
    for (int left = 1 + pick(depth); left > 0; --left) path += "/" + padding_ + static_cast<char>('a' + pick(letters_));
    return path;
  }

  std::mt19937 random_;
  const std::string directory_;
  const std::size_t memory_;
  const int steps_;
  const int letters_;
  const std::string padding_;
  int now_ = 1000;
  int last_id_ = 0;
  std::set<std::pair<int, int>> settled_;
  Truth committed_;
  bool was_away_ = false;
};

}  // namespace

TEST_CASE("after any life and crash what was committed is there, and nothing else", "[one-thread]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const unsigned rounds = std::getenv("QATIME_TEST_LONG") != nullptr ? 40 : 4;  // four have each kind of memory
  for (unsigned round = 0; round < rounds; ++round) {
    INFO("round " << round);
    const TemporaryDirectory directory;
    const bool is_scarce = round % 2 == 0;
    const auto memory = round % 4 == 0 ? Story::Memory::scarce : Story::Memory::none;
    Story story{seed + round, directory.path(), is_scarce ? memory : Story::Memory::plenty};
    for (int life = 0; life < 3; ++life) {
      story.live();
      story.check();
    }
    if (is_scarce) CHECK(story.was_away());
  }
}

}  // namespace qatime::backlog::store_thread_test

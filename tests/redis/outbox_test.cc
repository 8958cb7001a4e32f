// SPDX-License-Identifier: MIT
#include "redis/outbox.h"

#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include <fmt/core.h>

#include "base/path.h"
#include "catch.h"
#include "redis/keys.h"
#include "temporary_directory.h"

namespace qatime::backlog::redis::outbox_test {

using namespace std::chrono_literals;

namespace {

Time at(int second) { return Time{std::chrono::seconds{second}}; }

struct Fixture {
  explicit Fixture(const std::string& directory, std::size_t memory = 1 << 20, std::size_t disk = 64 << 20)
      : outbox{{.memory = memory, .disk = disk, .commit = 10ms, .directory = directory},
               kShards,
               std::make_unique<Store>(directory),
               counters,
               registry} {
    outbox.start();
  }

  std::shared_ptr<const Batch> next() {
    for (int i = 0; i < 1000; ++i) {
      if (auto batch = outbox.next()) return batch;
      std::this_thread::sleep_for(10ms);
    }
    FAIL("no batch");
    return nullptr;
  }

  // The contents of batches until `count` accesses have come, as "path second"; acknowledged if wanted.
  std::multiset<std::string> collect(std::size_t count, bool acknowledge) {
    std::multiset<std::string> found;
    while (found.size() < count) {
      const auto batch = next();
      AccessDecoder decoder{batch->entries};
      while (decoder.next()) {
        found.insert(
            fmt::format("{} {}", join(decoder.directory(), decoder.name()), decoder.time().time_since_epoch() / 1s));
      }
      if (acknowledge) outbox.acknowledged(batch->sequence, batch->accesses);
    }
    return found;
  }

  void stop() {
    outbox.begin_stop(10s);
    while (!outbox.outcome()) std::this_thread::sleep_for(1ms);
    CHECK(outbox.outcome() == true);
  }

  static constexpr unsigned kShards = 8;
  metrics::Registry registry;
  SharedCounters counters{registry};
  Outbox outbox;
};

using Found = std::multiset<std::string>;

std::vector<Event> accesses(const std::vector<std::string>& paths, int second) {
  std::vector<Event> events;
  for (const auto& path : paths) events.emplace_back(Access{path, at(second)});
  return events;
}

}  // namespace

TEST_CASE("The newest access of each path goes out, once") {
  const TemporaryDirectory directory;
  Fixture f{directory.path()};
  const std::vector<std::string> paths{"/a/1", "/b/1", "/top"};
  std::vector<Event> events = accesses(paths, 5);
  for (const Event& event : accesses(paths, 4)) events.push_back(event);
  f.outbox.add(events);
  CHECK(f.collect(3, true) == Found{"/a/1 5", "/b/1 5", "/top 5"});
  CHECK(f.outbox.is_empty());
  CHECK(f.outbox.next() == nullptr);
  f.stop();
  CHECK(f.registry.sum("qatime_coalesced_total") == 3);
  CHECK(f.registry.sum("qatime_handed_over_total") == 3);
  CHECK(f.registry.sum("qatime_pending_entries") == 0);
}

TEST_CASE("Accesses come by shards") {
  const TemporaryDirectory directory;
  Fixture f{directory.path()};
  std::vector<std::string> paths;
  for (int i = 0; i < 100; ++i) paths.push_back(fmt::format("/{}/x", i));
  f.outbox.add(accesses(paths, 5));
  const auto batch = f.next();
  REQUIRE(batch->accesses == 100);
  AccessDecoder decoder{batch->entries};
  unsigned last = 0;
  while (decoder.next()) {
    const unsigned shard = shard_of(decoder.directory(), Fixture::kShards);
    CHECK(shard >= last);
    last = shard;
  }
  f.stop();
}

TEST_CASE("Changes of names go out as they came") {
  const TemporaryDirectory directory;
  Fixture f{directory.path()};
  f.outbox.add(std::vector<Event>{Move{"/a", "/b", at(1)}, Removal{"/c", true, at(2)}});
  const auto batch = f.next();
  CHECK(batch->changes_count == 2);
  std::vector<std::size_t> kinds;
  decode_changes(batch->changes, [&](const Event& change) { kinds.push_back(change.index()); });
  CHECK(kinds == std::vector<std::size_t>{1, 2});
  f.stop();
}

TEST_CASE("What was not acknowledged goes out again after a restart, and what was, too") {
  const TemporaryDirectory directory;
  const std::vector<std::string> first{"/a"};
  const std::vector<std::string> second{"/b"};
  {
    Fixture f{directory.path()};
    f.outbox.add(accesses(first, 5));
    f.collect(1, true);
    f.outbox.add(accesses(second, 6));
    f.collect(1, false);
    CHECK_FALSE(f.outbox.is_empty());
    f.stop();
  }
  Fixture f{directory.path()};
  CHECK(f.registry.sum("qatime_recovered_total") == 2);
  CHECK(f.collect(2, true) == Found{"/a 5", "/b 6"});
  CHECK(f.outbox.is_empty());
  f.stop();
}

TEST_CASE("Without a log at the start what comes waits, and goes out with what was in the log") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/backlog.db";
  {
    Fixture life{directory.path()};
    const Event old = Access{"/a/old", at(1)};
    life.outbox.add({&old, 1});
    life.stop();
  }
  std::filesystem::rename(file, file + "-away");
  std::filesystem::create_directory(file);
  Fixture life{directory.path()};
  CHECK(life.registry.sum("qatime_degraded") == 1);
  const Event event = Access{"/a/new", at(2)};
  life.outbox.add({&event, 1});
  std::filesystem::remove(file);
  std::filesystem::rename(file + "-away", file);
  CHECK(life.collect(2, true) == Found{"/a/old 1", "/a/new 2"});
  CHECK(life.registry.sum("qatime_degraded") == 0);
  life.stop();
}

TEST_CASE("What another server may lack goes out again") {
  const TemporaryDirectory directory;
  Fixture f{directory.path()};
  const std::vector<std::string> first{"/a"};
  const std::vector<std::string> second{"/b"};
  f.outbox.add(accesses(first, 5));
  f.collect(1, true);
  f.outbox.add(accesses(second, 6));
  f.collect(1, false);
  f.outbox.hand_out_again(false);
  CHECK(f.collect(1, true) == Found{"/b 6"});
  f.outbox.hand_out_again(true);
  CHECK(f.collect(2, true) == Found{"/a 5", "/b 6"});
  f.stop();
  CHECK(f.registry.sum("qatime_recovered_total") == 2);
  CHECK(f.registry.sum("qatime_pending_entries") == 0);
}

TEST_CASE("While Redis is away the disk holds more than memory does") {
  const TemporaryDirectory directory;
  Fixture f{directory.path(), 1 << 20, 256 << 20};
  constexpr int kCount = 200'000;  // some 40 MiB
  const std::string tail(180, 'x');
  Found all;
  for (int begin = 0; begin < kCount; begin += 1000) {
    std::vector<std::string> paths;
    for (int i = begin; i < begin + 1000; ++i) paths.push_back(fmt::format("/{}/{}{}", i / 100, i, tail));
    f.outbox.add(accesses(paths, 5));
    for (int i = 0; i < 100 && f.registry.sum("qatime_backlog_committed_total") + 2000 < begin; ++i) {
      std::this_thread::sleep_for(10ms);
    }
    for (const auto& path : paths) all.insert(path + " 5");
  }
  CHECK(f.registry.sum("qatime_dropped_total") == 0);
  CHECK(f.collect(kCount, true) == all);
  f.stop();
}

TEST_CASE("Beyond the disk and memory accesses are dropped, and nothing else is") {
  const TemporaryDirectory directory;
  Fixture f{directory.path(), 1 << 20, 1 << 20};
  const std::string tail(180, 'x');
  constexpr int kCount = 50'000;
  for (int begin = 0; begin < kCount; begin += 1000) {
    std::vector<std::string> paths;
    for (int i = begin; i < begin + 1000; ++i) paths.push_back(fmt::format("/{}/{}{}", i / 100, i, tail));
    f.outbox.add(accesses(paths, 5));
  }
  f.outbox.add(std::vector<Event>{Removal{"/c", true, at(2)}});
  const auto dropped = static_cast<std::size_t>(f.registry.sum("qatime_dropped_total"));
  CHECK(dropped > 0);
  CHECK(f.registry.sum("qatime_pending_entries") == static_cast<std::int64_t>(kCount - dropped));
  std::size_t changes = 0;
  for (std::size_t count = 0; count < kCount - dropped || changes == 0;) {
    const auto batch = f.next();
    count += batch->accesses;
    changes += batch->changes_count;
    f.outbox.acknowledged(batch->sequence, batch->accesses);
  }
  CHECK(changes == 1);
  f.stop();
}

}  // namespace qatime::backlog::redis::outbox_test

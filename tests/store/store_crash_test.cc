// SPDX-License-Identifier: MIT
// The store on a disk that fails and loses power. All that was committed is there afterwards, what was deleted is not,
// and of what was interrupted all or nothing.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "catch.h"
#include "store/batches.h"
#include "store/faulty_disk.h"
#include "store/store.h"

namespace qatime::backlog::store_crash_test {
namespace {

int rounds(int some) { return std::getenv("QATIME_TEST_LONG") ? some * 10 : some; }

// Rows that have to be in the store.
struct Expected {
  std::map<std::uint64_t, std::size_t> sizes;
  std::uint64_t last = 0;

  struct Step {
    std::uint64_t sequence;
    std::size_t size;
    std::vector<std::uint64_t> unneeded;
  };
  Step next(std::mt19937& random) const {
    constexpr std::size_t kSizes[] = {100, 1000, 3900, 4000, 20'000, 100'000};
    Step step{last + 1, kSizes[random() % 6], {}};
    for (const auto& [sequence, size] : sizes) {
      if (random() % 4 == 0) step.unneeded.push_back(sequence);
    }
    return step;
  }
  void done(const Step& step) {
    last = step.sequence;
    for (const std::uint64_t sequence : step.unneeded) sizes.erase(sequence);
    sizes[step.sequence] = step.size;
  }
};

void carry_out(Store& store, const Expected::Step& step) {
  const Batch made = batch(step.sequence, step.size);
  store.commit(&made, step.unneeded);
}

std::vector<std::uint64_t> sequences(const Expected& expected) {
  std::vector<std::uint64_t> all;
  for (const auto& [sequence, size] : expected.sizes) all.push_back(sequence);
  return all;
}

bool holds(Store& store, const Expected& expected) {
  const auto rows = store.rows();
  if (rows.size() != expected.sizes.size()) return false;
  for (const auto& [sequence, size] : expected.sizes) {
    const auto found = store.read(sequence);
    if (!found || !same(*found, batch(sequence, size))) return false;
    if (store.read_changes(sequence) != found->changes) return false;
  }
  return true;
}

bool no_damage(const TemporaryDirectory& directory) {
  for (const auto& entry : std::filesystem::directory_iterator{directory.path()}) {
    if (entry.path().string().find("corrupt") != std::string::npos) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("ALossOfPowerLosesNothingThatWasCommittedAndNothingByHalves", "[one-thread]") {
  for (int seed = 0; seed < rounds(40); ++seed) {
    CAPTURE(seed);
    std::mt19937 random{static_cast<std::mt19937::result_type>(seed)};
    const TemporaryDirectory directory{fast_place()};
    FaultyDisk disk;
    Expected expected;
    for (int life = 0; life < 4; ++life) {
      CAPTURE(life);
      std::optional<Expected::Step> interrupted;
      disk.fail_after(random() % 200, SIZE_MAX);
      try {
        Store store{directory.path()};
        for (std::size_t i = random() % 20; i > 0; --i) {
          interrupted = expected.next(random);
          carry_out(store, *interrupted);
          expected.done(*interrupted);
          interrupted.reset();
        }
      } catch (const StoreError&) {
        REQUIRE(disk.failed());
      }
      disk.lose_what_was_not_synced(random);
      Store store{directory.path()};
      if (interrupted && !holds(store, expected)) expected.done(*interrupted);
      CAPTURE(sequences(store), sequences(expected), expected.last);
      REQUIRE(holds(store, expected));
      REQUIRE(no_damage(directory));
    }
  }
}

// Every call fails in its turn, once or for a while. A store that goes on, and one that is opened again.
TEST_CASE("WhicheverCallFailsTheNextOneGoesOnAndNothingIsLost", "[one-thread]") {
  const std::size_t times = GENERATE(1U, 20U);
  const std::size_t stride = std::getenv("QATIME_TEST_LONG") ? 1 : 7;
  bool failed = true;
  for (std::size_t calls = times % stride; failed; calls += calls < 100 ? 1 : stride) {
    CAPTURE(times, calls);
    std::mt19937 random{1};
    const TemporaryDirectory directory{fast_place()};
    FaultyDisk disk;
    Expected expected;
    disk.fail_after(calls, times);
    for (int life = 0; life < 2; ++life) {
      std::optional<Store> store;
      int tries = 0;
      while (!store) {
        REQUIRE(++tries <= 21);
        try {
          store.emplace(directory.path());
        } catch (const StoreError&) {
          REQUIRE(disk.failed());
        }
      }
      for (int i = 0; i < 6; ++i) {
        const Expected::Step step = expected.next(random);
        tries = 0;
        for (bool done = false; !done;) {
          REQUIRE(++tries <= 21);
          try {
            carry_out(*store, step);
            done = true;
          } catch (const StoreError&) {
            REQUIRE(disk.failed());
          }
        }
        expected.done(step);
      }
    }
    failed = disk.failed();
    disk.fail_after(SIZE_MAX, 0);
    Store store{directory.path()};
    REQUIRE(holds(store, expected));
    REQUIRE(no_damage(directory));
  }
}

}  // namespace qatime::backlog::store_crash_test

// SPDX-License-Identifier: MIT
// Prints what the local backlog costs: adds, take and settle, memory, and how long retries that fall due at once hold
// its lock; and SlotSet beside the set of Boost that could be in its place. Not a test; takes some seconds and a
// gigabyte.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "backlog/local.h"
#include "pending/container/hash.h"
#include "pending/container/slot_set.h"

using namespace qatime;
using namespace qatime::backlog;

namespace {

constexpr std::size_t kBatch = 500;
constexpr std::size_t kPerDirectory = 100;
constexpr double kMillion = 1e6;

std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream{"/proc/self/statm"} >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// 20-byte names, as many to a directory as `per_directory`.
std::string path_of(std::uint64_t index, std::size_t per_directory) {
  const std::string name = std::to_string(1'000'000'000ULL + index);
  return "/projects/department/results/" + std::to_string(index / per_directory) + "/data-" + name + ".bin";
}

// Of CPU time, so that what else runs on the machine matters less.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const { return static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC; }

 private:
  std::clock_t start_ = std::clock();
};

struct Subject {
  SteadyClock clock;
  metrics::Registry registry;
  Local backlog{BacklogConfig{.memory = std::size_t{64} << 30}, Exports{}, clock, registry};
};

// Adds an access to each of `indices`; returns the seconds of CPU inside add().
double add(Backlog& backlog, const std::vector<std::uint32_t>& indices, std::size_t per_directory) {
  double seconds = 0;
  std::vector<std::string> paths;
  std::vector<Event> events;
  for (std::size_t begin = 0; begin < indices.size(); begin += kBatch) {
    const std::size_t end = std::min(begin + kBatch, indices.size());
    paths.clear();
    events.clear();
    for (std::size_t i = begin; i < end; ++i) paths.push_back(path_of(indices[i], per_directory));
    for (std::size_t i = begin; i < end; ++i) {
      events.emplace_back(Access{paths[i - begin], Time{std::chrono::microseconds{i}}});
    }
    const Stopwatch watch;
    backlog.add(events);
    seconds += watch.seconds();
  }
  return seconds;
}

double drain(Backlog& backlog) {
  const Stopwatch watch;
  for (Slice slice = backlog.take(0, 256); !slice.entries.empty(); slice = backlog.take(0, 256)) {
    for (const Entry& entry : slice.entries) backlog.settle(entry.ticket);
  }
  return watch.seconds();
}

// All of `paths` were put back and fall due at once: the CPU time of the longest take(), which has the lock.
void measure_retries(const std::vector<std::uint32_t>& paths) {
  Subject subject;
  add(subject.backlog, paths, kPerDirectory);
  std::vector<Ticket> tickets;
  for (Slice slice = subject.backlog.take(0, 256); !slice.entries.empty(); slice = subject.backlog.take(0, 256)) {
    for (const Entry& entry : slice.entries) tickets.push_back(entry.ticket);
  }
  const auto due = subject.clock.now();
  for (const Ticket ticket : tickets) subject.backlog.put_back(ticket, due, {.attempts = 1});
  double longest = 0;
  double total = 0;
  for (bool has_more = true; has_more;) {
    const Stopwatch watch;
    const Slice slice = subject.backlog.take(0, 256);
    longest = std::max(longest, watch.seconds());
    total += watch.seconds();
    has_more = !slice.entries.empty();
    for (const Entry& entry : slice.entries) subject.backlog.settle(entry.ticket);
  }
  std::printf("%.1f M retries due at once: the longest take() %.2f ms, all %.0f ms\n",
              static_cast<double>(paths.size()) / kMillion, longest * 1e3, total * 1e3);
}

std::vector<std::uint32_t> shuffled(std::uint32_t count, std::mt19937& random) {
  std::vector<std::uint32_t> indices(count);
  for (std::uint32_t i = 0; i < count; ++i) indices[i] = i;
  std::shuffle(indices.begin(), indices.end(), random);
  return indices;
}

// Ranks with the exponent 1, by inverting the continuous distribution; rank -> path is scattered.
std::vector<std::uint32_t> zipf(std::size_t count, std::uint32_t paths, std::mt19937& random) {
  const std::vector<std::uint32_t> scattered = shuffled(paths, random);
  std::uniform_real_distribution<double> share{0, std::log(static_cast<double>(paths))};
  std::vector<std::uint32_t> indices(count);
  for (auto& index : indices) index = scattered[static_cast<std::size_t>(std::exp(share(random))) - 1];
  return indices;
}

void measure(const char* what, const std::vector<std::uint32_t>& indices, std::size_t per_directory) {
  if (fork() > 0) {  // each in a process of its own, since freed memory stays with the process
    wait(nullptr);
    return;
  }
  Subject subject;
  const std::size_t before = resident_bytes();
  const double adding = add(subject.backlog, indices, per_directory);
  const auto pending = static_cast<double>(subject.backlog.pending());
  const auto resident = static_cast<double>(resident_bytes() - before);
  const auto counted = static_cast<double>(subject.registry.sum("qatime_backlog_bytes"));
  const double draining = drain(subject.backlog);
  std::printf(
      "%-34s %6.2f M adds/s  %6.2f M take+settle/s  %5.1f M pending, bytes each: %5.1f resident, %5.1f counted\n", what,
      static_cast<double>(indices.size()) / adding / kMillion, pending / draining / kMillion, pending / kMillion,
      resident / pending, counted / pending);
  std::exit(0);
}

// Objects with names, one cache line each, as the items of the table are.
struct alignas(64) Object {
  std::string_view name() const { return {text.data(), text.size()}; }
  std::array<char, 20> text;
};

struct Peer {
  struct Hash {
    using is_transparent = void;
    const std::vector<Object>* objects;
    std::size_t operator()(Slot slot) const { return hash_bytes((*objects)[slot].name()); }
    std::size_t operator()(std::string_view name) const { return hash_bytes(name); }
  };
  struct Equal {
    using is_transparent = void;
    const std::vector<Object>* objects;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, std::string_view name) const { return (*objects)[slot].name() == name; }
    bool operator()(std::string_view name, Slot slot) const { return (*objects)[slot].name() == name; }
  };
  using Set = boost::unordered_flat_set<Slot, Hash, Equal>;
};

// Searches for `count` objects, each once and scattered; in groups, as reads of a socket bring them.
void compare_sets(std::uint32_t count, std::mt19937& random) {
  constexpr std::size_t kGroup = 32;
  std::vector<Object> objects(count);
  Peer::Set boosts(0, Peer::Hash{&objects}, Peer::Equal{&objects});
  SlotSet ours;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name = "data-" + std::to_string(1'000'000'000ULL + i) + ".data";
    std::copy_n(name.begin(), objects[i].text.size(), objects[i].text.begin());
    boosts.insert(i);
    ours.insert(hash_bytes(objects[i].name()), i);
  }
  const auto order = shuffled(count, random);
  std::vector<Object> sought(count);
  for (std::uint32_t i = 0; i < count; ++i) sought[i] = objects[order[i]];
  std::uint64_t found = 0;
  const auto find = [&](const Object& one, std::uint64_t hash) {
    return ours.find(hash, [&](Slot slot) { return objects[slot].text == one.text; });
  };
  const Stopwatch peer;
  for (const Object& one : sought) found += *boosts.find(one.name());
  const double of_boost = peer.seconds();
  const Stopwatch single;
  for (const Object& one : sought) found -= find(one, hash_bytes(one.name()));
  const double one_by_one = single.seconds();
  const Stopwatch grouped;
  std::array<std::uint64_t, kGroup> hashes{};
  for (std::size_t begin = 0; begin + kGroup <= count; begin += kGroup) {
    for (std::size_t i = 0; i < kGroup; ++i) hashes.at(i) = hash_bytes(sought[begin + i].name());
    for (const std::uint64_t hash : hashes) ours.prefetch(hash);
    for (const std::uint64_t hash : hashes) __builtin_prefetch(&objects[ours.guess(hash)]);
    for (std::size_t i = 0; i < kGroup; ++i) found += find(sought[begin + i], hashes.at(i));
  }
  const double ahead = grouped.seconds();
  std::printf(
      "find one of %5.1f M: boost::unordered_flat_set %3.0f ns, SlotSet %3.0f ns, with 32 ahead %3.0f ns (%u)\n",
      count / kMillion, of_boost / count * 1e9, one_by_one / count * 1e9, ahead / count * 1e9,
      static_cast<unsigned>(found != 0));
}

}  // namespace

int main() {
  std::mt19937 random{1};
  measure_retries(shuffled(1'000'000, random));
  compare_sets(1'000'000, random);
  compare_sets(10'000'000, random);
  measure("10 M, uniform", shuffled(10'000'000, random), kPerDirectory);
  measure("1 M, uniform", shuffled(1'000'000, random), kPerDirectory);
  measure("5 M adds, Zipf over 1 M", zipf(5'000'000, 1'000'000, random), kPerDirectory);
  measure("1 M in one directory", shuffled(1'000'000, random), 1'000'000);
  measure("1 M directories of one", shuffled(1'000'000, random), 1);
}

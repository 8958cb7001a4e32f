// SPDX-License-Identifier: MIT
// One measurement of the local backlog, as `name value` lines. A process each, so that memory and CPU are its own:
//
//   backlog DIRECTORY take-in on|off uniform|zipf ACCESSES PATHS   accesses to PATHS paths that nobody settles
//   backlog DIRECTORY receive on|off uniform|zipf RECORDS PATHS    the bytes of records, three of five of them accesses
//   backlog DIRECTORY settle ACCESSES                              distinct accesses, settled as fast as they come
//   backlog DIRECTORY uniform PENDING ACCESSES                     accesses to any of PENDING paths that wait already;
//                                                                  what is dropped of them does not count
//   backlog DIRECTORY recover                                      reads back what a take-in has left
//   backlog DIRECTORY commit BATCHES                               transactions of 10,000 accesses
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "backlog/local.h"
#include "backlog/store_thread.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "ingest/intake.h"
#include "ingest/parse/framing.h"
#include "store/codec.h"
#include "store/store.h"

namespace {

using namespace std::chrono_literals;
using namespace qatime;
using namespace qatime::backlog;

constexpr std::size_t kRead = 150;  // accesses that one read of a socket brings
constexpr std::uint32_t kPerDirectory = 100;

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double wall() { return seconds_of(CLOCK_MONOTONIC); }

void print(const char* name, double value) { std::printf("%s %.6g\n", name, value); }

// A field of a file of /proc/self, without its unit.
double proc(const char* file, std::string_view field) {
  std::ifstream lines{file};
  for (std::string word; lines >> word;) {
    if (word != field) continue;
    double value = 0;
    lines >> value;
    return value;
  }
  return 0;
}

// Paths of some 100 bytes, a hundred to a directory; the same number is always the same path. Making one costs little
// beside what is measured.
class Paths {
 public:
  [[nodiscard]] std::string_view operator()(std::uint32_t number) {
    const std::uint32_t directory = number / kPerDirectory;
    write(kGroup, directory % 977);
    write(kDirectory, directory);
    write(kFile, number);
    return path_;
  }

 private:
  static constexpr std::size_t kGroup = 10;
  static constexpr std::size_t kDirectory = 55;
  static constexpr std::size_t kFile = 89;

  void write(std::size_t end, std::uint32_t number) {
    for (std::size_t digits = 8; digits > 0; --digits, number /= 10)
      path_[end + digits] = static_cast<char>('0' + number % 10);
  }

  std::string path_ =
      "/projects/-00000000/some-department-and-its-work-of-the-00000000/report of a measurement -00000000.dat";
};

struct Subject {
  Subject(const std::string& directory, bool has_log, std::size_t memory = BacklogConfig{}.memory)
      : local{
            config(directory, memory), Exports{}, clock, registry, {}, has_log ? Local::Log::kept : Local::Log::none} {
    if (has_log) store_thread.emplace(config(directory, memory), std::make_unique<Store>(directory), local, registry);
    if (store_thread) store_thread->start();
  }

  static BacklogConfig config(const std::string& directory, std::size_t memory) {
    BacklogConfig made;
    made.directory = directory;
    made.memory = memory;
    return made;
  }

  // Accesses to `count` paths, the numbers of which next() tells; returns the CPU seconds inside add().
  template <class Next>
  double add(std::size_t count, Next&& next) {
    double seconds = 0;
    Paths path_of;
    std::vector<std::string> paths(kRead);
    std::vector<Event> events;
    for (std::size_t begin = 0; begin < count; begin += kRead) {
      events.clear();
      for (std::size_t i = begin; i < std::min(begin + kRead, count); ++i) {
        paths[i - begin] = path_of(next());
        events.emplace_back(Access{paths[i - begin], Time{std::chrono::nanoseconds{++now}}});
      }
      const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
      local.add(events);
      seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    return seconds;
  }

  // The bytes of records of `count` paths, three of five of which are accesses; returns the CPU seconds from there on.
  template <class Next>
  double receive(std::size_t count, Next&& next) {
    const Exports exports;
    const ingest::SelfAddresses self;
    const PolicyConfig all;
    const ingest::Policy policy{all, exports, self};
    ingest::Intake intake{policy, {}, registry, [this](Events events) { local.add(events); }};
    ingest::Framer framer{256 << 10};
    double seconds = 0;
    Paths path_of;
    std::string bytes;
    for (std::size_t i = 0; i < count;) {
      bytes.clear();
      for (const std::size_t end = std::min(i + kRead, count); i < end; ++i) {
        fmt::format_to(std::back_inserter(bytes),
                       R"(<14>1 {} cluster-{} qumulo - - - 192.168.240.{},"AD\user{}",smb2,{},ok,{},"{}",""{})",
                       format_rfc3339(Time{std::chrono::nanoseconds{++now}}), i % 8, i % 250, i % 1000,
                       i % 5 < 3 ? "fs_read_data" : "fs_read_metadata", i, path_of(next()), '\n');
      }
      const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
      const std::span<char> space = framer.writable();
      if (space.size() < bytes.size()) std::abort();
      std::ranges::copy(bytes, space.begin());
      framer.commit(bytes.size());
      intake.begin(ingest::Transport::tcp, bytes.size());
      while (const auto frame = framer.next()) intake.message(frame->bytes);
      intake.flush();
      seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    return seconds;
  }

  [[nodiscard]] std::int64_t dropped() const { return registry.sum("qatime_dropped_total"); }

  void finish() {
    if (store_thread && !store_thread->stop(10min)) std::abort();
    print("dropped", static_cast<double>(dropped()));
    print("resident_mebibytes", proc("/proc/self/status", "VmHWM:") / 1024);
    print("written_bytes", proc("/proc/self/io", "write_bytes:"));
  }

  SteadyClock clock;
  metrics::Registry registry;
  Local local;
  std::optional<StoreThread> store_thread;
  std::int64_t now = 1'700'000'000'000'000'000;
};

// The functions below tell numbers one after the other. Only Zipf's law needs memory for that, which counts as
// qatime's.

std::function<std::uint32_t()> draw(std::uint32_t paths, bool is_zipf) {
  if (!is_zipf) {
    return [random = std::mt19937_64{1}, paths]() mutable { return static_cast<std::uint32_t>(random() % paths); };
  }
  std::mt19937_64 random{1};
  std::vector<std::uint32_t> shuffled(paths);
  std::iota(shuffled.begin(), shuffled.end(), 0U);
  std::ranges::shuffle(shuffled, random);
  return [random, shuffled = std::move(shuffled),
          exponent = std::uniform_real_distribution<double>{0, std::log(static_cast<double>(paths))}]() mutable {
    return shuffled[static_cast<std::size_t>(std::exp(exponent(random))) - 1];
  };
}

// All below `count`, scattered: a Feistel network over the next power of four, which leaves out what is too great.
std::function<std::uint32_t()> each(std::uint32_t count) {
  const auto half = static_cast<unsigned>((std::bit_width(count - 1) + 1) / 2);
  return [=, at = std::uint32_t{0}]() mutable {
    const std::uint32_t mask = (1U << half) - 1;
    while (true) {
      std::uint32_t left = at >> half;
      std::uint32_t right = at++ & mask;
      for (std::uint32_t round = 1; round <= 4; ++round) {
        left = std::exchange(right, left ^ ((right * 2654435761U + round * 0x9E3779B9U) >> 11 & mask));
      }
      if (const std::uint32_t number = left << half | right; number < count) return number;
    }
  };
}

void take_in(const std::string& directory, bool has_log, std::size_t count, std::uint32_t paths, bool is_zipf,
             bool as_records) {
  auto next = draw(paths, is_zipf);
  Subject subject{directory, has_log};
  const double process = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  const double own = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  const double start = wall();
  const double seconds = as_records ? subject.receive(count, next) : subject.add(count, next);
  const double making = seconds_of(CLOCK_THREAD_CPUTIME_ID) - own - seconds;  // of what came
  print("per_second", static_cast<double>(count) / (wall() - start));
  subject.finish();
  print("intake_seconds", seconds);
  print("process_seconds", seconds_of(CLOCK_PROCESS_CPUTIME_ID) - process - making);
}

// As the engine does it: slices of a directory, settled one by one.
void settle(const std::string& directory, std::uint32_t count) {
  Subject subject{directory, true};
  std::atomic<bool> is_over = false;
  const double start = wall();
  std::thread applier{[&] {
    while (!is_over || subject.local.pending() > 0) {
      const Slice slice = subject.local.take(0, 128);
      for (const Entry& entry : slice.entries) subject.local.settle(entry.ticket);
      if (slice.entries.empty()) std::this_thread::sleep_for(100us);
    }
  }};
  subject.add(count, each(count));
  is_over = true;
  applier.join();
  print("per_second", count / (wall() - start));
  subject.finish();
}

void uniform(const std::string& directory, std::uint32_t pending, std::size_t count) {
  Subject subject{directory, true};
  subject.add(pending, each(pending));
  const std::int64_t lost_before = subject.dropped();
  const double start = wall();
  const double seconds = subject.add(count, draw(pending, false));
  const std::int64_t lost = subject.dropped() - lost_before;
  print("per_second", (static_cast<double>(count) - static_cast<double>(lost)) / (wall() - start));
  print("intake_seconds", seconds);
  subject.finish();
}

// With room for all of it.
void recover(const std::string& directory) {
  const double start = wall();
  const double process = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  Subject subject{directory, true, std::size_t{4} << 30};
  const auto count = static_cast<double>(subject.local.pending());
  while (subject.local.on_disk() > 0) std::this_thread::sleep_for(1ms);
  print("accesses", count);
  print("per_second", count / (wall() - start));
  print("process_seconds", seconds_of(CLOCK_PROCESS_CPUTIME_ID) - process);
  subject.finish();
}

void commit(const std::string& directory, std::uint32_t batches) {
  Store store{directory};
  Paths path_of;
  std::vector<double> times;
  for (std::uint32_t i = 1; i <= batches; ++i) {
    Batch batch{i, now(), 0, 0, {}, {}};
    AccessEncoder encoder{batch.entries};
    for (std::uint32_t j = 0; j < 10'000; ++j) {
      const std::string_view path = path_of(i * 10'000 + j);
      const std::size_t slash = path.rfind('/');
      encoder.add(path.substr(0, slash), path.substr(slash + 1), now());
      ++batch.accesses;
    }
    const std::vector<std::uint64_t> unneeded =
        i > 5 ? std::vector<std::uint64_t>{i - 5} : std::vector<std::uint64_t>{};
    const double start = wall();
    store.commit(&batch, unneeded);
    times.push_back(wall() - start);
  }
  std::ranges::sort(times);
  print("p50_milliseconds", times[times.size() / 2] * 1e3);
  print("p99_milliseconds", times[times.size() * 99 / 100] * 1e3);
  print("written_bytes", proc("/proc/self/io", "write_bytes:"));
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words{arguments + 1, arguments + count};
  const auto number = [&](std::size_t index) { return static_cast<std::uint32_t>(std::stoul(words.at(index))); };
  log::set_level(log::Level::warning);
  const std::string& directory = words.at(0);
  const std::string& what = words.at(1);
  if (what == "take-in" || what == "receive") {
    take_in(directory, words.at(2) == "on", number(4), number(5), words.at(3) == "zipf", what == "receive");
  }
  if (what == "settle") settle(directory, number(2));
  if (what == "uniform") uniform(directory, number(2), number(3));
  if (what == "recover") recover(directory);
  if (what == "commit") commit(directory, number(2));
}

// SPDX-License-Identifier: MIT
// One measurement of the shared backlog, as `name value` lines. A process each, so that CPU is its own:
//
//   redis_bench PORT DIRECTORY add COUNT PATHS   accesses to PATHS paths, until Redis has acknowledged all
//   redis_bench PORT DIRECTORY zadd COUNT PATHS  the same, by nothing but pipelined ZADDs of 100 members
//   redis_bench PORT DIRECTORY set COUNT PATHS   the same, by one SET after the other
//   redis_bench PORT DIRECTORY drain             claims what waits and settles it, until nothing does; several may run
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "redis/keys.h"
#include "redis/servers.h"
#include "redis/shared.h"

namespace {

using namespace std::chrono_literals;
using namespace qatime;
using namespace qatime::backlog;

constexpr std::size_t kRead = 150;  // accesses that one read of a socket brings
constexpr std::uint32_t kPerDirectory = 100;
constexpr std::int64_t kStart = 1'700'000'000'000'000'000;

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void print(const char* name, double value) { std::printf("%s %.6g\n", name, value); }

// Of some 80 bytes, a hundred to a directory; the same number is always the same path.
std::string path_of(std::uint32_t number) {
  char text[128];
  const int size =
      std::snprintf(text, sizeof text, "/projects/%03u/some-department-%08u/report of a measurement -%08u.dat",
                    number / kPerDirectory % 977, number / kPerDirectory, number);
  return {text, static_cast<std::size_t>(size)};
}

std::vector<std::string> draw(std::size_t count, std::uint32_t paths) {
  std::mt19937 random{1};
  std::vector<std::string> drawn(count);
  for (std::size_t i = 0; i < count; ++i) {
    drawn[i] = path_of(count == paths ? static_cast<std::uint32_t>(i) : static_cast<std::uint32_t>(random() % paths));
  }
  return drawn;
}

Config configured(std::uint16_t port, const std::string& directory) {
  Config config;
  config.backlog.kind = BacklogConfig::Kind::redis;
  config.backlog.directory = directory;
  config.redis.url.server = {"127.0.0.1", port};
  return config;
}

// Wall time and CPU of this process from its making until report().
class Meter {
 public:
  void report(std::size_t count) const {
    const double wall = seconds_of(CLOCK_MONOTONIC) - wall_;
    print("per_second", static_cast<double>(count) / wall);
    print("cpu_seconds", seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_);
  }

 private:
  double wall_ = seconds_of(CLOCK_MONOTONIC);
  double cpu_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
};

struct Subject {
  Subject(std::uint16_t port, const std::string& directory)
      : shared{redis::open(configured(port, directory), exports, clock, registry)} {
    shared->on_work([] {});
    shared->start();
  }

  void stop() {
    shared->begin_stop(10s);
    while (!shared->outcome()) std::this_thread::sleep_for(1ms);
  }

  Exports exports;
  SteadyClock clock;
  metrics::Registry registry;
  std::unique_ptr<redis::SharedBacklog> shared;
};

void add(std::uint16_t port, const std::string& directory, const std::vector<std::string>& paths) {
  Subject subject{port, directory};
  std::this_thread::sleep_for(500ms);  // it is connected
  const Meter meter;
  std::vector<Event> events;
  std::int64_t time = kStart;
  for (std::size_t begin = 0; begin < paths.size(); begin += kRead) {
    events.clear();
    for (std::size_t i = begin; i < std::min(begin + kRead, paths.size()); ++i) {
      events.emplace_back(Access{paths[i], Time{std::chrono::nanoseconds{time += 1000}}});
    }
    subject.shared->add(events);
  }
  while (subject.shared->kept() > 0) std::this_thread::sleep_for(1ms);
  meter.report(paths.size());
  if (subject.registry.sum("qatime_dropped_total") > 0) std::abort();
  subject.stop();
}

void zadd(std::uint16_t port, const std::vector<std::string>& paths) {
  redis::Servers servers{configured(port, "").redis, 5s};
  servers.connect();
  const redis::Keys keys{"qatime", 64};
  const Meter meter;
  for (std::size_t begin = 0; begin < paths.size(); begin += 100) {
    const redis::RedisKey& key = keys.pending(static_cast<unsigned>(begin / 100 % keys.shards()));
    redis::Command command{"ZADD", key.name, "GT"};
    for (std::size_t i = begin; i < std::min(begin + 100, paths.size()); ++i) {
      command.add(static_cast<std::int64_t>(kStart / 1000 + static_cast<std::int64_t>(i))).add(paths[i]);
    }
    servers.send(key, std::move(command));
  }
  servers.finish();
  meter.report(paths.size());
}

// As the Python qatime does it: a request for each record, and its answer.
void set(std::uint16_t port, const std::vector<std::string>& paths) {
  redis::RedisConnection connection{{"127.0.0.1", port}, 5s, false};
  const Meter meter;
  for (const std::string& path : paths) (void)connection.call({"SET", path, "1700000000.123456"});
  meter.report(paths.size());
}

void drain(std::uint16_t port, const std::string& directory) {
  Subject subject{port, directory};
  while (subject.registry.sum("qatime_redis_shards") == 0) std::this_thread::sleep_for(1ms);
  std::size_t count = 0;
  const Meter meter;
  auto last = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - last < 1s) {
    const Slice slice = subject.shared->take(0, 256);
    for (const Entry& entry : slice.entries) subject.shared->settle(entry.ticket);
    count += slice.entries.size();
    if (slice.entries.empty()) {
      std::this_thread::sleep_for(200us);
    } else {
      last = std::chrono::steady_clock::now();
    }
  }
  subject.stop();
  print("count", static_cast<double>(count));
  meter.report(count);  // a second of which was waiting
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words{arguments + 1, arguments + count};
  const auto number = [&](std::size_t index) { return static_cast<std::uint32_t>(std::stoul(words.at(index))); };
  log::set_level(log::Level::warning);
  const auto port = static_cast<std::uint16_t>(number(0));
  const std::string& directory = words.at(1);
  const std::string& what = words.at(2);
  if (what == "drain") {
    drain(port, directory);
    return 0;
  }
  const auto paths = draw(number(3), number(4));
  if (what == "add") add(port, directory, paths);
  if (what == "zadd") zadd(port, paths);
  if (what == "set") set(port, paths);
}

// SPDX-License-Identifier: MIT
// The daemon without its ears: backlog, engine and NFS client on one loop, with a backlog that is filled beforehand.
//
//   engine CONFIGURATION warm|cold UPDATES < PATHS      one path per line
//
// Adds an access to every path and runs until nothing is pending; where UPDATES are more than there are paths, adds
// them all again whenever less than half of them are left, so that there is always something to do. "warm" does one
// pass over all paths before. Prints one line of JSON: seconds, cpu (seconds of this process), updates, rpcs by
// procedure.

#include "apply/engine.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/core.h>
#include <sys/resource.h>

#include "backlog/local.h"
#include "config/config.h"
#include "nfs/libnfs_client.h"

namespace {

using namespace qatime;
using Steady = std::chrono::steady_clock;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Stages {
 public:
  Stages(const Config& config, const std::vector<std::string>& paths)
      : paths_{paths},
        exports_{config.nfs.export_paths()},
        backlog_{config.backlog, exports_, clock_, metrics_},
        client_{io_, config.nfs, metrics_},
        engine_{backlog_, client_, clock_, config.nfs, exports_, config.policy, metrics_, false} {
    client_.on_change([this] { engine_.pump(); });
    tick();
  }

  void connect() {
    while (!client_.root(0)) io_.run_one();
  }

  void run(std::int64_t updates) {
    const std::int64_t end = applied() + updates;
    add();
    engine_.pump();
    while (backlog_.pending() > 0) {
      io_.run_one();
      const std::size_t left = backlog_.pending();
      if (2 * left > paths_.size() || applied() + static_cast<std::int64_t>(left) >= end) continue;
      add();
      engine_.pump();
    }
  }

  [[nodiscard]] std::int64_t applied() const { return static_cast<std::int64_t>(applied_.value()); }

  [[nodiscard]] std::map<std::string, std::int64_t> rpcs() const {
    std::map<std::string, std::int64_t> rpcs;
    metrics_.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.name == "qatime_rpcs_total") rpcs[sample.label.value] = sample.value;
    });
    return rpcs;
  }

 private:
  void add() {
    std::vector<Event> events;
    const Time now = std::chrono::system_clock::now();
    for (const std::string& path : paths_) events.emplace_back(Access{path, now});
    backlog_.add(events);
  }

  // As the daemon does.
  void tick() {
    timer_.expires_after(std::chrono::milliseconds{50});
    timer_.async_wait([this](const boost::system::error_code&) {
      engine_.pump();
      tick();
    });
  }

  const std::vector<std::string>& paths_;
  metrics::Registry metrics_;
  SteadyClock clock_;
  Exports exports_;
  backlog::Local backlog_;
  boost::asio::io_context io_{1};
  nfs::LibnfsClient client_;
  apply::Engine engine_;
  const metrics::Counter& applied_ = metrics_.counter("qatime_applied_total", "Entries whose atime was set.");
  boost::asio::steady_timer timer_{io_};
};

int measure(const Config& config, bool is_warm, std::int64_t updates) {
  std::vector<std::string> paths;
  for (std::string path; std::getline(std::cin, path);) paths.push_back(path);
  Stages stages{config, paths};
  stages.connect();
  if (is_warm) stages.run(static_cast<std::int64_t>(paths.size()));

  const auto applied = stages.applied();
  const auto rpcs = stages.rpcs();
  const auto cpu = cpu_seconds();
  const auto begin = Steady::now();
  stages.run(updates);
  const double seconds = std::chrono::duration<double>{Steady::now() - begin}.count();
  std::string calls;
  for (const auto& [procedure, count] : stages.rpcs()) {
    const auto before = rpcs.find(procedure);
    calls += fmt::format("{}\"{}\": {}", calls.empty() ? "" : ", ", procedure,
                         count - (before == rpcs.end() ? 0 : before->second));
  }
  fmt::print("{{\"seconds\": {}, \"cpu\": {}, \"updates\": {}, \"rpcs\": {{{}}}}}\n", seconds, cpu_seconds() - cpu,
             stages.applied() - applied, calls);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc != 4) throw std::runtime_error{"wrong arguments"};
  return measure(load_config(argv[1], {}), argv[2] == std::string_view{"warm"}, std::stoll(argv[3]));
} catch (const std::exception& error) {
  std::cerr << "engine: " << error.what() << '\n';
  return EXIT_FAILURE;
}

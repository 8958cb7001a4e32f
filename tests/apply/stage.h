// SPDX-License-Identifier: MIT
// An engine between a real backlog and a fake server, with a clock that the test turns.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apply/engine.h"
#include "apply/fake_client.h"
#include "backlog/local.h"
#include "base/path.h"
#include "config/config.h"
#include "manual_clock.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// So many seconds after a moment in 2023, which is after the times that files have in the beginning.
[[nodiscard]] inline Time at(int seconds) { return Time{std::chrono::seconds{1'700'000'000 + seconds}}; }

struct Stage {
  explicit Stage(std::vector<std::string> paths = {"/"}, bool dry_run = false, std::uint32_t uid = 0);
  explicit Stage(const PolicyConfig& policy);
  explicit Stage(const NfsConfig& nfs, bool dry_run = false);

  // One export, "/", and nfs.readdirplus = false.
  static Stage without_readdirplus();

  void access(std::string_view path, int seconds);
  void removed(std::string_view path, int seconds, bool subtree = false);
  // At the server and as a record.
  void moved(std::string_view from, std::string_view to, int seconds);

  // Pumps and delivers until no request is outstanding.
  void run();
  // The same every 100 ms while the clock goes on.
  void run_for(std::chrono::milliseconds duration);

  [[nodiscard]] std::int64_t sum(std::string_view metric) const { return registry.sum(metric); }
  // The value of the metric with this value of its label.
  [[nodiscard]] std::int64_t labelled(std::string_view metric, std::string_view label) const;
  [[nodiscard]] std::int64_t applied() const { return sum("qatime_applied_total"); }
  [[nodiscard]] std::int64_t unchanged() const { return sum("qatime_unchanged_total"); }
  [[nodiscard]] std::int64_t failed() const { return sum("qatime_failed_total"); }
  [[nodiscard]] std::int64_t failed(std::string_view status) const { return labelled("qatime_failed_total", status); }
  [[nodiscard]] std::int64_t degraded(std::string_view reason) const { return labelled("qatime_degraded", reason); }
  // Whether every access has exactly one outcome.
  [[nodiscard]] bool adds_up() const;

  ManualClock clock;
  metrics::Registry registry;
  NfsConfig config;
  Exports exports;
  FakeClient client;
  backlog::Local backlog;
  Engine engine;
  std::int64_t accesses = 0;

 private:
  Stage(std::vector<std::string> paths, NfsConfig nfs, const PolicyConfig& policy, bool dry_run);
};

}  // namespace qatime::apply

// SPDX-License-Identifier: MIT
// The paths of the HTTP server: /, /metrics, /status.json, /healthz, /readyz.
#pragma once

#include <cassert>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/history.h"
#include "admin/http_server.h"
#include "base/thread_checker.h"
#include "telemetry/metrics.h"

namespace qatime::admin {

// Facts that only the whole daemon knows. Routes calls these functions on its thread.
struct Health {
  std::function<void()> refresh;                        // updates the gauges that are computed on demand
  std::function<std::vector<std::string>()> not_alive;  // why it does not work; empty if it works
  std::function<std::vector<std::string>()> not_ready;  // why it takes no records, beyond its alerts
};

// One thread. `registry` outlives it.
class Routes {
 public:
  // Takes a sample for the history of the page. Call it every History::kInterval.
  void sample() {
    assert(thread_.is_current());
    history_.take(registry_);
  }

  Routes(const metrics::Registry& registry, Health health) : registry_{registry}, health_{std::move(health)} {}

  [[nodiscard]] Response answer(std::string_view path) const;

 private:
  [[nodiscard]] std::vector<std::string> not_ready() const;

  ThreadChecker thread_;
  const metrics::Registry& registry_;
  const Health health_;
  History history_;
};

}  // namespace qatime::admin

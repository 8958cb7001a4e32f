// SPDX-License-Identifier: MIT
// What there is to see: /, /metrics, /status.json, /healthz, /readyz.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/history.h"
#include "admin/server.h"
#include "telemetry/metrics.h"

namespace qatime::admin {

// What only the whole daemon knows; called on the thread of the site.
struct Health {
  std::function<void()> refresh;                        // has gauges that are not kept up to date be so
  std::function<std::vector<std::string>()> not_alive;  // why the daemon does not work: empty, if it does
  std::function<std::vector<std::string>()> not_ready;  // why nothing should be sent to it, besides its Bulletin
};

// One thread. `registry` outlives it.
class Site {
 public:
  // To be called every History::kInterval: what was lately.
  void look() { history_.take(registry_); }

  Site(const metrics::Registry& registry, Health health) : registry_{registry}, health_{std::move(health)} {}

  [[nodiscard]] Response answer(std::string_view path) const;

 private:
  [[nodiscard]] std::vector<std::string> not_ready() const;

  const metrics::Registry& registry_;
  const Health health_;
  History history_;
};

}  // namespace qatime::admin

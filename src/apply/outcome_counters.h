// SPDX-License-Identifier: MIT
// The counters of how entries end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "base/log.h"
#include "nfs/status.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// Each settled entry is told to exactly one of the three. Lives on the apply thread.
class OutcomeCounters {
 public:
  explicit OutcomeCounters(metrics::Registry& registry);

  void applied() { applied_.add(); }
  void unchanged() { unchanged_.add(); }
  // Also says it: at level debug, and once per 10 s and status at level warning if somebody should look at it.
  void failed(nfs::Status status, std::string_view directory, std::string_view name);

 private:
  struct FailureCounter {
    metrics::Counter* counter;
    log::Throttle throttle;
  };
  FailureCounter& failure(nfs::Status status);

  metrics::Registry& registry_;
  Alerts& alerts_;
  metrics::Counter& applied_;
  metrics::Counter& unchanged_;
  std::map<nfs::Status, FailureCounter> failures_;
};

}  // namespace qatime::apply

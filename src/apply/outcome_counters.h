// SPDX-License-Identifier: MIT
// The counters of how entries end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "base/log.h"
#include "base/timestamp.h"
#include "nfs/status.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// Call exactly one of applied(), unchanged() and failed() for each settled entry. `accessed` is the time of its access.
// Thread: apply.
class OutcomeCounters {
 public:
  explicit OutcomeCounters(metrics::Registry& registry);

  void applied(Time accessed);
  void unchanged(Time accessed);
  // Counts one that is unchanged because the server has an atime in the future, and warns once.
  void ahead(std::string_view directory, std::string_view name, Time found);
  // Counts a failure, adds it to Alerts::failures(), and logs it at level debug. If an administrator should look, it
  // also logs at level warning, once per 10 s and status.
  void failed(nfs::Status status, std::string_view directory, std::string_view name, Time accessed);

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
  metrics::Counter& ahead_;
  std::map<nfs::Status, FailureCounter> failures_;
  metrics::Histogram& applied_after_;
  metrics::Histogram& unchanged_after_;
  metrics::Histogram& failed_after_;
};

}  // namespace qatime::apply

// SPDX-License-Identifier: MIT
// The state of an export, as the log and the metrics report it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "apply/breaker.h"
#include "base/clock.h"
#include "config/config.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// One line per 10 s that says what to look at while the export is suspended, one when it is resumed, and
// qatime_degraded{reason}: the number of exports in that state. Of servers that do not answer the client
// itself speaks. Lives on the apply thread.
class ExportReporter {
 public:
  ExportReporter(const NfsConfig::Export& subject, metrics::Registry& registry);

  // `reason` is why the export gets no work now; `pending` how many entries wait.
  void update(std::optional<Reason> reason, std::size_t pending, Clock::Instant now);

 private:
  void tell(std::optional<Reason> reason);

  NfsConfig::Export subject_;
  std::array<metrics::Gauge*, kReasons> degraded_;
  Alerts& alerts_;
  std::optional<Reason> reason_;
  bool said_ = false;
  Clock::Instant next_line_{};
};

}  // namespace qatime::apply

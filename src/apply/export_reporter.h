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

// Writes one line per 10 s with advice while the export is suspended, and one line when it is resumed. Keeps
// qatime_degraded{reason}, the number of exports in that state, and the alert. The client itself writes the lines about
// servers that do not answer or mount. Thread: apply.
class ExportReporter {
 public:
  ExportReporter(const NfsConfig::Export& subject, metrics::Registry& registry);

  // Takes in the state of the export. `reason` is why it gets no work now; `pending` is the number of entries of all
  // exports.
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

// SPDX-License-Identifier: MIT
// The status of the daemon as one JSON document, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "admin/history.h"
#include "telemetry/metrics.h"

namespace qatime::admin {

// Returns an object with these members. All times are seconds since the epoch.
//   version, time, started        time: of this document; started: of the daemon
//   ready, reasons                as /readyz
//   troubles                      [{reason, subject, text, unready, since}], the active alerts
//   metrics                       {NAME: value, or with labels [{LABEL: ..., value}]}, as /metrics has them;
//                                 a histogram has count, sum (seconds) and the quantiles p50 and p99 instead of value
//   nodes                         [{host, lag, last_seen, records: {OUTCOME: ...}}]
//   failures                      [{time, subject, reason}], the latest first
//   history                       {time: [...], pending, received, accepted, applied}, of the last 15 minutes
//   process                       {resident_bytes, cpu_seconds, open_descriptors}
// Names are escaped for a terminal (log::escaped).
[[nodiscard]] std::string status_document(const metrics::Registry& registry, const History& history,
                                          const std::vector<std::string>& not_ready);

}  // namespace qatime::admin

// SPDX-License-Identifier: MIT
// The status of the daemon as one JSON document, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "admin/history.h"
#include "telemetry/metrics.h"

namespace qatime::admin {

// An object with
//   version, time and started     when this is, and since when the daemon runs, seconds since the epoch, like all times
//   ready, reasons                as /readyz
//   troubles                      [{reason, subject, text, unready, since}], what is wrong now
//   metrics                       {NAME: value, or where there are labels [{LABEL: ..., value}]}, as /metrics has them;
//                                 of a histogram count, sum (seconds) and the quantiles p50 and p99 instead of value
//   nodes                         [{host, lag, last_seen, records: {OUTCOME: ...}}]
//   failures                      [{time, subject, reason}], the latest first
//   history                       {time: [...], pending, received, accepted, applied}, of the last 15 minutes
//   process                       {resident_bytes, cpu_seconds, open_descriptors}
// All names are fit for a terminal (log::escaped).
[[nodiscard]] std::string status_document(const metrics::Registry& registry, const History& history,
                                          const std::vector<std::string>& not_ready);

}  // namespace qatime::admin

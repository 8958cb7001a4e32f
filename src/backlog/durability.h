// SPDX-License-Identifier: MIT
// The life cycle of a backlog that survives the process.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include "telemetry/metrics.h"

namespace qatime::backlog {

// The metrics of a log on disk, of either backlog.
struct LogMetrics {
  explicit LogMetrics(metrics::Registry& registry)
      : committed{registry.counter("qatime_backlog_committed_total",
                                   "Events that survive the process: committed to disk, or applied before")},
        disk_bytes{registry.gauge("qatime_backlog_disk_bytes", "Size of the backlog's log on disk")},
        commit_seconds{registry.histogram("qatime_backlog_commit_seconds", "Duration of a commit to disk")},
        degraded{registry.degraded("backlog")} {}

  metrics::Counter& committed;
  metrics::Gauge& disk_bytes;
  metrics::Histogram& commit_seconds;
  metrics::Gauge& degraded;
};

// Keeps the accesses and changes of a backlog for the next start. One owner, one thread.
class Durability {
 public:
  virtual ~Durability() = default;

  // Has `also` called after each commit, by the thread that waits for the disk. Set before start().
  virtual void on_commit(std::function<void()> also) = 0;

  virtual void start() = 0;

  // Begins to commit everything that the backlog has taken in, and then to end. It tries for `limit`.
  virtual void begin_stop(std::chrono::milliseconds limit) = 0;

  // After begin_stop(): whether everything is kept, or nothing while it still tries. False after `limit` if the disk
  // hangs or refuses. The destructor waits for a disk that hangs.
  [[nodiscard]] virtual std::optional<bool> outcome() = 0;

  // Accesses that wait for the next start. Any thread.
  [[nodiscard]] virtual std::size_t kept() const = 0;
};

}  // namespace qatime::backlog

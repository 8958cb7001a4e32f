// SPDX-License-Identifier: MIT
// The counters of accesses on both sides of the shared backlog.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/mutex.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// Counters that several threads share. At every moment when nothing is on its way,
//
//   accepted + recovered + claimed = coalesced + cancelled + applied + unchanged + failed + dropped + handed over +
//   pending
//
// where accesses are handed over when Redis has them, and claimed when they come from there to be applied: as long as
// no server of Redis loses anything, all that were handed over have been claimed or wait there.
class SharedCounters {
 public:
  explicit SharedCounters(metrics::Registry& registry);
  SharedCounters(const SharedCounters&) = delete;
  SharedCounters& operator=(const SharedCounters&) = delete;

  struct Delta {
    std::int64_t recovered = 0;
    std::int64_t coalesced = 0;
    std::int64_t cancelled = 0;
    std::int64_t handed_over = 0;
    std::int64_t claimed = 0;
    std::int64_t lost = 0;      // damaged in the outbox
    std::int64_t outside = 0;   // below no export
    std::int64_t refused = 0;   // no room: memory is full, and the disk is, too
    std::int64_t failed = 0;    // no room: memory is full, and the disk refuses
    std::int64_t incoming = 0;  // change of what waits to be handed over
    std::int64_t outgoing = 0;  // change of what is claimed and has no outcome
  };
  // Adds it up. Any thread.
  void add(const Delta& delta);

  // Without outcome: on this side of Redis, and on that.
  [[nodiscard]] std::size_t incoming() const;
  [[nodiscard]] std::size_t pending() const;

 private:
  mutable Mutex mutex_;
  std::int64_t incoming_ QATIME_GUARDED_BY(mutex_) = 0;
  std::int64_t outgoing_ QATIME_GUARDED_BY(mutex_) = 0;
  metrics::Counter& recovered_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& coalesced_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& cancelled_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& handed_over_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& claimed_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& lost_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& outside_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& refused_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& failed_ QATIME_GUARDED_BY(mutex_);
  metrics::Gauge& pending_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime::backlog::redis

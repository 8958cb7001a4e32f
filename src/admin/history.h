// SPDX-License-Identifier: MIT
// The samples of the last 15 minutes, for the page.
#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/thread_checker.h"
#include "base/timestamp.h"
#include "telemetry/metrics.h"

namespace qatime::admin {

// The last kSamples samples. One thread.
class History {
 public:
  static constexpr std::chrono::seconds kInterval{5};  // between two calls of take()
  static constexpr std::chrono::minutes kSpan{15};
  static constexpr std::size_t kSamples = kSpan / kInterval + 1;

  struct Snapshot {
    Time time;
    std::int64_t pending = 0;  // accesses that wait
    // Totals:
    std::int64_t received = 0;
    std::int64_t accepted = 0;
    std::int64_t applied = 0;
  };

  // Takes a sample, and drops the oldest if there are kSamples already.
  void take(const metrics::Registry& registry);

  // Returns the samples, the oldest first.
  [[nodiscard]] const std::deque<Snapshot>& samples() const noexcept {
    assert(thread_.is_current());
    return samples_;
  }

 private:
  ThreadChecker thread_;
  std::deque<Snapshot> samples_;
};

}  // namespace qatime::admin

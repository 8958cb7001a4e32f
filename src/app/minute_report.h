// SPDX-License-Identifier: MIT
// The line of each minute: which records came, and what became of them.
#pragma once

#include <array>
#include <cstdint>

#include "telemetry/metrics.h"

namespace qatime {

// One thread.
class MinuteReport {
 public:
  // `registry` outlives it.
  explicit MinuteReport(const metrics::Registry& registry) : registry_{registry} {}

  // Logs by how much the counters have grown since the last call, and how much is pending. Logs nothing if none has.
  void write();

 private:
  static constexpr std::size_t kCounters = 12;

  const metrics::Registry& registry_;
  std::array<std::int64_t, kCounters> before_{};
};

}  // namespace qatime

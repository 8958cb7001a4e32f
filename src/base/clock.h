// SPDX-License-Identifier: MIT
// A clock of elapsed time, as a seam: tests have one that they turn themselves.
#pragma once

#include <chrono>

namespace qatime {

class Clock {
 public:
  using Duration = std::chrono::steady_clock::duration;
  using Instant = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const noexcept = 0;
};

// The monotonic clock of the system. Any thread.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return std::chrono::steady_clock::now(); }
};

}  // namespace qatime

// SPDX-License-Identifier: MIT
// A monotonic clock as an interface, so that tests can replace it with one they control.
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

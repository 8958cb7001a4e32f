// SPDX-License-Identifier: MIT
// The limiter of updates per second: nfs.max_rate.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace qatime::apply {

// The generic cell rate algorithm (ITU-T I.371): a token bucket that keeps one time instead of tokens. After a pause of
// at least kBurst, it allows as many updates at once as the rate has in kBurst. Thread: apply.
class RateLimiter {
 public:
  // Longer than the engine's pauses between two looks at the clock, so that it reaches the rate.
  static constexpr std::chrono::milliseconds kBurst{100};

  // `rate`: updates per second; 0: no limit.
  explicit RateLimiter(std::size_t rate) noexcept
      : interval_{rate == 0 ? Clock::Duration{}
                            : Clock::Duration{std::chrono::seconds{1}} / static_cast<std::int64_t>(rate)},
        burst_{std::max(Clock::Duration{kBurst} - interval_, Clock::Duration{})} {}

  // Changes the rate. The next update may go at once.
  void change(std::size_t rate, Clock::Instant now) noexcept {
    const auto due = due_;
    *this = RateLimiter{rate};
    due_ = std::min(due, now + burst_);
  }

  [[nodiscard]] bool limits() const noexcept { return interval_ > Clock::Duration{}; }

  // Returns the earliest time for the next update; a time in the past means now.
  [[nodiscard]] Clock::Instant next() const noexcept { return due_ - burst_; }

  // Counts an update that goes now. Precondition: next() <= now, or no limit.
  void take(Clock::Instant now) noexcept { due_ = std::max(due_, now) + interval_; }

 private:
  Clock::Duration interval_;
  Clock::Duration burst_;
  Clock::Instant due_{};  // when the next is due at an even pace
};

}  // namespace qatime::apply

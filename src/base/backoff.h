// SPDX-License-Identifier: MIT
// The delays between attempts: exponential, with jitter.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace qatime {

// Exponential backoff with jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The
// whole delay is `base * 2^attempt`, at most `cap`. The result is random between a quarter of it and the whole; the
// quarter keeps callers from spinning. One thread.
class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  Backoff(Duration base, Duration cap, std::uint64_t seed = std::random_device{}())
      : base_{base}, cap_{cap}, random_{seed} {}

  // Returns the delay before the next attempt. `attempt` counts the earlier failures, from 0.
  [[nodiscard]] Duration delay(unsigned attempt) {
    const Duration whole = std::min(cap_, base_ * (std::int64_t{1} << std::min(attempt, 20U)));
    std::uniform_int_distribution<Duration::rep> share{whole.count() / 4, whole.count()};
    return Duration{share(random_)};
  }

 private:
  Duration base_;
  Duration cap_;
  std::minstd_rand random_;
};

}  // namespace qatime

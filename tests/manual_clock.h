// SPDX-License-Identifier: MIT
// A clock that stands still until a test turns its hands.
#pragma once

#include "base/clock.h"

namespace qatime {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return now_; }
  void advance(Duration duration) { now_ += duration; }

 private:
  Instant now_{std::chrono::hours{1}};
};

}  // namespace qatime

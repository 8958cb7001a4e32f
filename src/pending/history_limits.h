// SPDX-License-Identifier: MIT
// How much of the past is kept, for what is heard of later than it happened.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace qatime::backlog {

struct HistoryLimits {
  Clock::Duration retention = std::chrono::seconds{60};  // from arrival
  std::size_t bytes = 16 << 20;                          // of each kind of things at most
  std::size_t cancelled = 10'000;                        // accesses that one change ended, at most
};

}  // namespace qatime::backlog

// SPDX-License-Identifier: MIT
// The limits of history: how long and how much of it is kept for events that come late.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace qatime::backlog {

struct HistoryLimits {
  Clock::Duration retention = std::chrono::seconds{60};  // from arrival
  std::size_t bytes = 16 << 20;                          // of each kind of history, at most
  std::size_t cancelled = 10'000;                        // accesses remembered of those that one change ended, at most
};

}  // namespace qatime::backlog

// SPDX-License-Identifier: MIT
// Times as Prometheus and the page have them.
#pragma once

#include <chrono>

#include "base/timestamp.h"

namespace qatime::admin {

// Returns seconds since the epoch.
inline double since_epoch(Time time) { return std::chrono::duration<double>{time.time_since_epoch()}.count(); }

}  // namespace qatime::admin

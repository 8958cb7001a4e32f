// SPDX-License-Identifier: MIT
// The log lines of the daemon.
#pragma once

#include "base/log.h"

namespace qatime {

inline constexpr log::Logger kLog{"daemon"};

}  // namespace qatime

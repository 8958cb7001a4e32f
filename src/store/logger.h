// SPDX-License-Identifier: MIT
// The log lines of store/, backlog/ and redis/.
#pragma once

#include "base/log.h"

namespace qatime::backlog {

inline constexpr log::Logger kLog{"backlog"};

}  // namespace qatime::backlog

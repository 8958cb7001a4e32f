// SPDX-License-Identifier: MIT
#pragma once

#include "base/log.h"

namespace qatime::backlog {

inline constexpr log::Logger kLog{"backlog"};

}  // namespace qatime::backlog

// SPDX-License-Identifier: MIT
// The log lines of admin/.
#pragma once

#include "base/log.h"

namespace qatime::admin {

inline constexpr log::Logger kLog{"admin"};

}  // namespace qatime::admin

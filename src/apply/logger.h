// SPDX-License-Identifier: MIT
// The log lines of apply/.
#pragma once

#include "base/log.h"

namespace qatime::apply {

inline constexpr log::Logger kLog{"apply"};

}  // namespace qatime::apply

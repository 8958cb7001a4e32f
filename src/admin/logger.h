// SPDX-License-Identifier: MIT
#pragma once

#include "log.h"

namespace qatime::admin {

inline constexpr log::Logger kLog{"admin"};

}  // namespace qatime::admin

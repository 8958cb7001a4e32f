// SPDX-License-Identifier: MIT
#pragma once

#include "log.h"

namespace qatime::apply {

inline constexpr log::Logger kLog{"apply"};

}  // namespace qatime::apply

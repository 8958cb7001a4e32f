// SPDX-License-Identifier: MIT
#pragma once

#include "base/log.h"

namespace qatime::apply {

inline constexpr log::Logger kLog{"apply"};

}  // namespace qatime::apply

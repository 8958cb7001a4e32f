// SPDX-License-Identifier: MIT
#pragma once

#include "base/log.h"

namespace qatime::nfs {

inline constexpr log::Logger kLog{"nfs"};

}  // namespace qatime::nfs

// SPDX-License-Identifier: MIT
// The log lines of nfs/.
#pragma once

#include "base/log.h"

namespace qatime::nfs {

inline constexpr log::Logger kLog{"nfs"};

}  // namespace qatime::nfs

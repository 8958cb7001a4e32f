// SPDX-License-Identifier: MIT
// The log lines of ingest/.
#pragma once

#include "base/log.h"

namespace qatime::ingest {

inline constexpr log::Logger kLog{"ingest"};

}  // namespace qatime::ingest

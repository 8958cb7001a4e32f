// SPDX-License-Identifier: MIT
#pragma once

#include "base/log.h"

namespace qatime::ingest {

inline constexpr log::Logger kLog{"ingest"};

}  // namespace qatime::ingest

// SPDX-License-Identifier: MIT
// The state of one export, as the engine knows it.
#pragma once

#include "apply/breaker.h"
#include "atime/update.h"

namespace qatime::apply {

struct ExportState {
  Breaker breaker;
  atime::Traits traits;
};

}  // namespace qatime::apply

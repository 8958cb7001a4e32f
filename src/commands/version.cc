// SPDX-License-Identifier: MIT
#include "version.h"

#include <fmt/core.h>

#include "commands/commands.h"

namespace qatime::commands {

int version() {
  fmt::print("qatime {}\n", kVersion);
  return 0;
}

}  // namespace qatime::commands

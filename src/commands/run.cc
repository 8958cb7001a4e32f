// SPDX-License-Identifier: MIT
#include "commands/commands.h"
#include "daemon.h"

namespace qatime::commands {

int run(const Run& options) {
  Daemon daemon{options.config.load(), options.dry_run};
  daemon.run();
  return 0;
}

}  // namespace qatime::commands

// SPDX-License-Identifier: MIT
#include "commands/commands.h"
#include "daemon.h"

namespace qatime::commands {

int run(const Run& options) {
  run_daemon(options.config.load(), [&] { return options.config.read(); }, options.dry_run);
  return 0;
}

}  // namespace qatime::commands

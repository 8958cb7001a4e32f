// SPDX-License-Identifier: MIT
#include "app/daemon.h"
#include "commands/commands.h"

namespace qatime::commands {

int run(const RunOptions& options) {
  run_daemon(options.config.load(), [&] { return options.config.read(); }, options.dry_run);
  return 0;
}

}  // namespace qatime::commands

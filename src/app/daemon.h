// SPDX-License-Identifier: MIT
// The composition root of `run`: makes every stage, starts and stops them.
#pragma once

#include <functional>

#include "config/config.h"

namespace qatime {

// Receives, coalesces and applies until SIGTERM or SIGINT. Then what the sockets hold is read, intake stops, what
// waits is applied for 5 s at most, and the call returns; a second signal ends the process at once with exit status 1.
// With `dry_run` everything is decided and counted, but nothing is set.
//
// SIGHUP reads the configuration with `read_again`, which may throw ConfigError, and takes over what [syslog.tls]
// names: all of it, or nothing if anything in the configuration is wrong.
//
// Throws ConfigError when a listener cannot be opened. Servers that are away are no error.
void run_daemon(const Config& config, const std::function<Config()>& read_again, bool dry_run);

}  // namespace qatime

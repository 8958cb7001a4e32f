// SPDX-License-Identifier: MIT
// The composition root of `run`: makes every stage, starts and stops them.
#pragma once

#include <functional>

#include "config/config.h"

namespace qatime {

// Receives, coalesces and applies until SIGTERM or SIGINT. Then it reads what the sockets hold, stops the intake, lets
// requests in flight land for 5 s at most, keeps the rest on disk for the next start, which may take 10 s, and returns.
// Without a log on disk (`dry_run`), it applies what is pending for those 5 s. A second signal ends the process at once
// with exit status 1. With `dry_run` it decides and counts everything, but sets nothing.
//
// SIGHUP reads the configuration with `read_again`, which might throw ConfigError, and the files of [syslog.tls]. Keys
// that can change at a reload are in force from then on; the log names the others. If anything is wrong, nothing
// changes.
//
// Throws ConfigError when a listener cannot be opened. Servers that are away are no error.
void run_daemon(const Config& config, const std::function<Config()>& read_again, bool dry_run);

}  // namespace qatime

// SPDX-License-Identifier: MIT
// The composition root of `run`: makes every stage, starts and stops them.
#pragma once

#include <functional>

#include "config/config.h"

namespace qatime {

// Receives, coalesces and applies until SIGTERM or SIGINT. With `dry_run` it decides and counts everything, but sets
// nothing and keeps no log.
//
// Stopping: it reads the bytes that the sockets hold and stops the intake. It waits at most 5 s for requests in flight.
// Then the disk has at most 10 s to keep the rest for the next start. If it cannot keep the rest, it ends the process
// with exit status 1. Without a log it applies pending entries during the 5 s. A second signal ends the process at once
// with exit status 1.
//
// SIGHUP calls `read_again`, which may throw ConfigError, and reads the files of [syslog.tls]. Keys that can change at
// a reload take effect; a log line names the others. If anything is wrong, nothing changes.
//
// Throws ConfigError when it cannot open a listener or the backlog, or read the files of [syslog.tls]. A server that
// does not answer is no error.
void run_daemon(const Config& config, const std::function<Config()>& read_again, bool dry_run);

}  // namespace qatime

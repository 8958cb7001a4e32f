// SPDX-License-Identifier: MIT
// The composition root of `replay`: makes every stage, and has recorded logs go through them.
#pragma once

#include <chrono>
#include <deque>

#include "config/config.h"
#include "ingest/parse/recorded_log.h"

namespace qatime {

// Connects, reads `logs` to their ends, and then applies what they say, until everything has its outcome. Renames and
// removals count for all accesses of the logs, and no bound of memory has any of them dropped. A summary goes to
// standard output, what is wrong to the log, and how far it is to standard error if that is a terminal. SIGINT and
// SIGTERM end it: while it reads, nothing has been applied; while it applies, what is in flight ends, in 5 s at most.
// When nothing has got its outcome for `patience`, unless that is 0, it ends likewise, since what it waits for may
// never come. With `dry_run` everything is decided and counted, but nothing is set.
//
// Returns whether all logs could be read to their ends, every record has its outcome, and none was denied (ACCES, PERM,
// ROFS). Throws nfs::Unreachable when an export cannot be mounted, or times not be set there, before anything is read.
[[nodiscard]] bool replay(const Config& config, std::deque<ingest::RecordedLog>& logs,
                          std::chrono::nanoseconds patience, bool dry_run);

}  // namespace qatime

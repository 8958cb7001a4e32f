// SPDX-License-Identifier: MIT
// The composition root of `replay`: makes every stage and sends recorded logs through them.
#pragma once

#include <chrono>
#include <deque>

#include "base/timestamp.h"
#include "config/config.h"
#include "ingest/parse/recorded_log.h"

namespace qatime {

// Connects, reads `logs` to their ends, and only then applies their accesses, until each has an outcome. Renames and
// removals affect all accesses of the logs. Records outside `period` count as ignored. No bound of memory drops an
// access. With `dry_run` it decides and counts everything, but sets nothing.
//
// Output: the summary on standard output, errors in the log, the progress on standard error if that is a terminal.
// Stopping: SIGINT or SIGTERM while it reads leaves nothing applied. While it applies, it waits at most 5 s for entries
// in flight. It stops in the same way after `patience` (0: never) without an outcome, because a server might never
// answer.
//
// Returns whether it read all logs to their ends, gave each access an outcome, and met no denial (ACCES, PERM, ROFS).
// Throws nfs::Unreachable before it reads: when it cannot mount an export, or, as uid 0 and without `dry_run`,
// when it cannot set times there.
[[nodiscard]] bool replay(const Config& config, std::deque<ingest::RecordedLog>& logs, const Period& period,
                          std::chrono::nanoseconds patience, bool dry_run);

}  // namespace qatime

// SPDX-License-Identifier: MIT
#include "app/replay.h"

#include <algorithm>
#include <deque>

#include "commands/commands.h"
#include "config/units.h"
#include "ingest/parse/recorded_log.h"

namespace qatime::commands {

int replay(const ReplayOptions& options) {
  const Config config = options.config.load(log::Level::warning);
  const auto patience = parse_duration(options.patience);
  if (!patience) throw UsageError{"--patience must be a duration, like 10m, or 0s to wait for ever"};
  Period period;
  period.begin = parse_time_option("--since", options.since, period.begin);
  period.end = parse_time_option("--until", options.until, period.end);
  if (period.begin >= period.end) throw UsageError{"--since must be before --until"};
  if (std::ranges::count(options.logs, "-") > 1) throw UsageError{"standard input (-) can be read but once"};
  std::deque<ingest::RecordedLog> logs;
  try {
    for (const std::string& name : options.logs) logs.emplace_back(name);
    return qatime::replay(config, logs, period, *patience, options.dry_run) ? 0 : 1;
  } catch (const ingest::LogError& error) {
    throw UsageError{error.what()};
  }
}

}  // namespace qatime::commands

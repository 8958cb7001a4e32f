// SPDX-License-Identifier: MIT
#include "app/minute_report.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/log.h"

namespace qatime {
namespace {

struct ReportedCounter {
  const char* name;
  const char* word;  // in the line; of a field in JSON
};

// In the order in which a record meets them.
constexpr std::array kShown{
    ReportedCounter{"qatime_received_messages_total", "received"},
    ReportedCounter{"qatime_malformed_total", "malformed"},
    ReportedCounter{"qatime_ignored_total", "ignored"},
    ReportedCounter{"qatime_moves_total", "moves"},
    ReportedCounter{"qatime_removals_total", "removals"},
    ReportedCounter{"qatime_accepted_total", "accepted"},
    ReportedCounter{"qatime_coalesced_total", "coalesced"},
    ReportedCounter{"qatime_cancelled_total", "cancelled"},
    ReportedCounter{"qatime_applied_total", "applied"},
    ReportedCounter{"qatime_unchanged_total", "unchanged"},
    ReportedCounter{"qatime_failed_total", "failed"},
    ReportedCounter{"qatime_dropped_total", "dropped"},
};

}  // namespace

void MinuteReport::write() {
  static_assert(kShown.size() == kCounters);
  std::string line;
  std::vector<log::Field> fields;
  for (std::size_t i = 0; i < kShown.size(); ++i) {
    const auto& [name, word] = kShown.at(i);
    const std::int64_t value = registry_.sum(name);
    const std::int64_t grown = value - std::exchange(before_.at(i), value);
    if (grown == 0) continue;
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", word, grown);
    fields.push_back(log::field(word, grown));
  }
  if (fields.empty() || !log::enabled(log::Level::info)) return;
  fields.push_back(log::field("pending", registry_.sum("qatime_pending_entries")));
  log::write(log::Level::info, "daemon", fmt::format("in the last minute: {}; {} pending", line, fields.back().shown()),
             fields);
}

}  // namespace qatime

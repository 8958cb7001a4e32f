// SPDX-License-Identifier: MIT
// Times of the traditional syslog header (RFC 3164 section 4.1.2): "Jan 27 14:12:23", without year and zone.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/timestamp.h"
#include "base/timezone.h"

namespace qatime::ingest {

// The clock for times that do not name their zone, and perhaps not their year.
struct LocalClock {
  TimeZone zone;
  Time now;  // when the time was written, or later
  // policy.future_limit, not negative. A time may be this far ahead of `now`.
  std::chrono::nanoseconds future_limit{};
};

// Reads all of `text` as local time. A fraction of a second counts, because syslog-ng can write one. The day may be
// padded with a space or a zero, or not at all. The year is the latest that puts the time at most `future_limit` ahead,
// but one that puts it a day ahead will do: a wrong zone is likelier than a record that is a year old. A limit above
// half a year counts as half a year. Returns nothing for text that is not a time in any year.
[[nodiscard]] std::optional<Time> parse_rfc3164_time(std::string_view text, const LocalClock& local);

}  // namespace qatime::ingest

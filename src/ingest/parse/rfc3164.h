// SPDX-License-Identifier: MIT
// Times of the traditional syslog header (RFC 3164 section 4.1.2): "Jan 27 14:12:23", without year and zone.
#pragma once

#include <optional>
#include <string_view>

#include "base/timestamp.h"
#include "base/timezone.h"

namespace qatime::ingest {

// Reads all of `text` as local time of `zone`. A fraction of a second counts, because syslog-ng can write one. The day
// may be padded with a space or a zero, or not at all. The year is the latest that puts the time at most a day after
// `now`. Returns nothing for text that is not a time in any year.
[[nodiscard]] std::optional<Time> parse_rfc3164_time(std::string_view text, const TimeZone& zone, Time now);

}  // namespace qatime::ingest

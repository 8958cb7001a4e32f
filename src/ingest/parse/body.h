// SPDX-License-Identifier: MIT
// The body of an audit record, in either form that a cluster can be told to write.
#pragma once

#include <memory_resource>
#include <string_view>

#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"

namespace qatime::ingest {

// The words in front of a body that stands for several equal ones (rsyslog's $RepeatedMsgReduction).
inline constexpr std::string_view kRepeated{"message repeated "};

// Reads all of `body`, CSV or JSON, except for blanks, CR, LF, NUL, `#015` and `#000` that forwarders leave at its end,
// and at that of a repeated body. The record's views live as long as both `body` and `scratch`. Failure:
// Malformed::body, ::fields or ::quote.
[[nodiscard]] Parsed<Record> parse_body(std::string_view body, std::pmr::memory_resource& scratch);

}  // namespace qatime::ingest

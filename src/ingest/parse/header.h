// SPDX-License-Identifier: MIT
// The syslog header in front of an audit record, as the cluster or a forwarder writes it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/timestamp.h"
#include "base/timezone.h"
#include "ingest/parse/reason.h"

namespace qatime::ingest {

enum class HeaderForm : std::uint8_t {
  rfc5424,       // <PRI>1 TIME HOST qumulo PROCID MSGID STRUCTURED-DATA BODY: the cluster itself
  forward,       // <PRI>TIME HOST qumulo BODY: RSYSLOG_ForwardFormat, Python's SysLogHandler
  file,          // TIME HOST qumulo BODY: RSYSLOG_FileFormat
  log_filter,    // TIME HOST qumulo - - - BODY, with and without <PRI>: LogFilter
  comma_joined,  // TIME,HOST,qumulo BODY, TIME,HOST,BODY and TIME,BODY: the vendor's templates for rsyslog
  rfc3164,       // Mmm dd HH:MM:SS HOST qumulo BODY, with and without <PRI>: the traditional one
};

struct Header {
  HeaderForm form;
  Time time;
  std::string_view host;
  std::string_view body;  // without its byte order mark
};

// Describes the form in words.
[[nodiscard]] std::string_view describe(HeaderForm form) noexcept;

// Reads the header of `message`. The views point into it. The priority may have any value, and the tag may end in ':'.
// A traditional time is local time of `zone`. Its year is the latest that puts it at most a day after `now`.
[[nodiscard]] Parsed<Header> parse_header(std::string_view message, const TimeZone& zone, Time now);

}  // namespace qatime::ingest

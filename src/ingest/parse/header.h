// SPDX-License-Identifier: MIT
// The syslog header in front of an audit record, as the cluster or a forwarder writes it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/timestamp.h"
#include "ingest/parse/reason.h"
#include "ingest/parse/rfc3164.h"

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
  bool is_local = false;  // its time names no zone
};

// Describes the form in words.
[[nodiscard]] std::string_view describe(HeaderForm form) noexcept;

// Reads the header of `message`. The views point into it. One blank is between words; more may be behind the priority,
// in front of the body, and around the commas of a joined line. Only the words above are read:
//   - The priority is any number of up to three digits. PROCID, MSGID and the names in STRUCTURED-DATA are not checked.
//   - The tag may have a process id, which is any text in brackets, and end in ':'. `- - - ` may follow in each form.
//   - TIME of a joined line may be the traditional one. BODY begins there with '{', with kRepeated, or with an address,
//     a comma and a quote, unless the tag is in front.
// Up to four relays may each have put a header in front, with any time. The record is where their tag would be, from
// its priority on, or from the version `1 `. With RFC 5424 that version may be their tag; their tag may be `-`, too.
// Failure: Malformed::time if only the time is invalid. Malformed::tag if the tag is not qumulo, the time is valid (or
// behind a version), and no record is behind it. Else Malformed::header, also if no blank is behind the last word.
// A time that names no zone is read by `local`: a traditional one as parse_rfc3164_time() does, and one of RFC 3339
// without an offset.
[[nodiscard]] Parsed<Header> parse_header(std::string_view message, const LocalClock& local);

}  // namespace qatime::ingest

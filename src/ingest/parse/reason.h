// SPDX-License-Identifier: MIT
// The reasons why a message becomes no event. Each is the label of a counter.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

namespace qatime::ingest {

// Why a message is no record of the audit stream: qatime_malformed_total{reason}.
enum class Malformed : std::uint8_t {
  header,    // not one of the forms of a syslog header
  tag,       // a header with another tag than qumulo, behind a valid time or a version
  time,      // a header with the tag qumulo and an invalid time
  body,      // empty, a repetition that was cut, or invalid JSON
  fields,    // CSV: not the eight fields of which the second and the last two are quoted; JSON: no operation or status
  quote,     // a quoted field without its end, or with bytes after it
  path,      // a path that is not normal
  too_long,  // over syslog.max_message
  framing,   // a wrong octet count
  memory,    // unfinished, and no memory left to wait for the rest
  proxy,     // a PROXY header of a peer outside syslog.proxy_from
};
inline constexpr std::size_t kMalformedReasons = 11;

// Why a message is not an access, move or removal for us: qatime_ignored_total{reason}. The two reasons of one filter
// share a label.
enum class Ignored : std::uint8_t {
  sender,             // a datagram from outside syslog.allow; the label is "allow"
  operation,          // not in policy.operations
  status,             // the operation failed
  cluster,            // not in policy.clusters
  snapshot,           // below a .snapshot
  path_left_out,      // below none of policy.include_paths; the label is "path"
  path_excluded,      // below one of policy.exclude_paths
  user_left_out,      // likewise, and below
  user_excluded,      //
  client_left_out,    //
  client_excluded,    //
  protocol_left_out,  //
  protocol_excluded,  //
  self,               // a directory listing of our own
  range,              // before 1970 or after 2106-02-07, which nfstime3 cannot hold
  period,             // outside --since and --until of `replay`
  future,             // beyond policy.future_limit
  protected_path,     // moves, replaces or removes an export or a directory above one; the label is "protected"
  no_export,          // below no export; the label is "export"
};
inline constexpr std::size_t kIgnoredReasons = 19;

// Returns the label: "too_long", "export".
[[nodiscard]] std::string_view name(Malformed reason) noexcept;
[[nodiscard]] std::string_view name(Ignored reason) noexcept;

// Describes the reason in words that can follow "because ".
[[nodiscard]] std::string_view describe(Malformed reason) noexcept;
[[nodiscard]] std::string_view describe(Ignored reason) noexcept;

// The result of a parser.
template <class T>
using Parsed = std::variant<T, Malformed>;

}  // namespace qatime::ingest

// SPDX-License-Identifier: MIT
#include "ingest/parse/body.h"

#include <algorithm>
#include <optional>

#include "ingest/parse/csv.h"
#include "ingest/parse/json.h"

namespace qatime::ingest {
namespace {

// Without what forwarders leave behind a body: blanks, and a CR or NUL, as it is or as rsyslog spells it.
std::string_view strip_tail(std::string_view body) noexcept {
  for (;;) {
    if (body.ends_with("#015") || body.ends_with("#000")) {
      body.remove_suffix(4);
    } else if (body.ends_with(' ') || body.ends_with('\r') || body.ends_with('\0') || body.ends_with('\n')) {
      body.remove_suffix(1);
    } else {
      return body;
    }
  }
}

// The body that rsyslog has put into `message repeated N times: [BODY]`, which stands for N equal ones
// ($RepeatedMsgReduction). Nothing if it was cut.
std::optional<std::string_view> unrepeat(std::string_view body) noexcept {
  constexpr std::string_view kTimes{" times: ["};
  body = strip_tail(body);
  const std::size_t digits = body.find_first_not_of("0123456789", kRepeated.size());
  if (digits == kRepeated.size() || digits == std::string_view::npos) return std::nullopt;
  if (!body.substr(digits).starts_with(kTimes) || !body.ends_with(']')) return std::nullopt;
  body = body.substr(digits + kTimes.size());
  body.remove_suffix(1);
  body.remove_prefix(std::min(body.find_first_not_of(' '), body.size()));
  return body;
}

}  // namespace

Parsed<Record> parse_body(std::string_view body, std::pmr::memory_resource& scratch) {
  if (body.starts_with(kRepeated)) {
    const auto repeated = unrepeat(body);
    if (!repeated) return Malformed::body;
    body = *repeated;
  }
  const bool is_json = body.starts_with('{');
  if (!body.ends_with(is_json ? '}' : '"')) body = strip_tail(body);
  return is_json ? parse_json(body, scratch) : parse_csv(body, scratch);
}

}  // namespace qatime::ingest

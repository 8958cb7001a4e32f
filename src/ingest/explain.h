// SPDX-License-Identifier: MIT
// The explanation of one line of an audit log: its outcome, and why.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"
#include "config/config.h"

namespace qatime::ingest {

struct Explanation {
  struct ReadField {
    std::string_view name;
    std::string value;  // bytes of the line: escape them before they reach a terminal
  };
  // form, time, host, client, user, protocol, operation, status, file_id, path, target; those that could be read.
  std::vector<ReadField> fields;
  std::string_view outcome;  // accepted, move, removal, ignored or malformed
  std::string_view reason;   // the label of its counter if ignored or malformed, else empty
  std::string why;           // one sentence for a person
};

// Explains `line` as the first of a connection: with or without an octet count and a terminator, and within
// syslog.max_message. Our own addresses are those in `policy.self` alone.
[[nodiscard]] Explanation explain(std::string_view line, const Config& config, Time now);

}  // namespace qatime::ingest

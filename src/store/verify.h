// SPDX-License-Identifier: MIT
// A verification of a backlog that no daemon uses.
#pragma once

#include <string>

namespace qatime::backlog {

struct Verification {
  bool right = true;  // also if there is no backlog
  std::string text;   // one line that describes the backlog; empty without one
};

// Reads the whole backlog in `directory`, if there is one and no daemon uses it. Writes nothing. Throws
// ConfigError where Store does, and StoreError if something cannot be read.
[[nodiscard]] Verification verify(const std::string& directory);

}  // namespace qatime::backlog

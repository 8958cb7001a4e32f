// SPDX-License-Identifier: MIT
// A verification of a backlog that no daemon uses.
#pragma once

#include <string>

namespace qatime::backlog {

struct Verification {
  bool right = true;  // also where there is nothing to look at
  std::string text;   // one line that says what is there; empty without a backlog
};

// Reads all of the backlog in `directory`, if there is one and no daemon runs on it, and writes nothing. Throws
// StoreError for what may not be read.
[[nodiscard]] Verification verify(const std::string& directory);

}  // namespace qatime::backlog

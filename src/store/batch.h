// SPDX-License-Identifier: MIT
// A batch: everything of one commit.
#pragma once

#include <cstdint>
#include <string>

#include "base/timestamp.h"

namespace qatime::backlog {

struct Batch {
  std::uint64_t sequence = 0;       // from 1, ascending, never used twice
  Time written{};                   // when it was made, wall clock
  std::uint32_t accesses = 0;       // in `entries`
  std::uint32_t changes_count = 0;  // in `changes`
  std::string changes;              // moves and removals, encoded
  std::string entries;              // accesses, encoded
};

}  // namespace qatime::backlog

// SPDX-License-Identifier: MIT
// The number of entries by the second of their arrival, for the age of the oldest.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "pending/container/allocation.h"

namespace qatime::backlog {

// Counts entries by the second of their arrival. Addition and removal are O(log seconds). One owner.
class AgeHistogram {
 public:
  void add(std::uint32_t second) { ++counts_.try_emplace(counts_.end(), second, 0)->second; }

  // `second` is the one that was added.
  void remove(std::uint32_t second) {
    const auto at = counts_.find(second);
    assert(at != counts_.end());
    if (--at->second == 0) counts_.erase(at);
  }

  [[nodiscard]] std::optional<std::uint32_t> oldest() const {
    if (counts_.empty()) return std::nullopt;
    return counts_.begin()->first;
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return counts_.size() * allocation_bytes(4 * sizeof(void*) + sizeof(decltype(counts_)::value_type));
  }

 private:
  std::map<std::uint32_t, std::uint32_t> counts_;  // by second; no count is zero
};

}  // namespace qatime::backlog

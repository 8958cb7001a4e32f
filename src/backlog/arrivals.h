// SPDX-License-Identifier: MIT
// When the oldest of many came, to the second.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <optional>

namespace qatime::backlog {

// Counts what is there by the second in which it came. One owner.
class Arrivals {
 public:
  // `second` is no earlier than at any call before.
  void add(std::uint32_t second) {
    if (counts_.empty()) first_ = second;
    if (second - first_ >= counts_.size()) counts_.resize(second - first_ + 1);
    ++counts_[second - first_];
  }

  // `second` as it was added.
  void remove(std::uint32_t second) {
    assert(second - first_ < counts_.size() && counts_[second - first_] > 0);
    --counts_[second - first_];
    while (!counts_.empty() && counts_.front() == 0) {
      counts_.pop_front();
      ++first_;
    }
  }

  [[nodiscard]] std::optional<std::uint32_t> oldest() const {
    if (counts_.empty()) return std::nullopt;
    return first_;
  }

 private:
  std::uint32_t first_ = 0;
  std::deque<std::uint32_t> counts_;  // of the second first_ and those that follow; the first is not 0
};

}  // namespace qatime::backlog

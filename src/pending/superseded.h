// SPDX-License-Identifier: MIT
// The times that newer ones of the same item have superseded lately. One owner.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/timestamp.h"
#include "pending/history_limits.h"

namespace qatime::backlog {

// They are kept because a late change might show that both times of a name belong to different objects.
//
// One log holds the times of all items in the order of arrival, 16 bytes each. Each item has a chain backwards through
// it, which ends where the log was cut off. The chain of an item that is gone stays in the log. Addition is O(1).
//
// Bounds: the retention and the bytes of `limits`; beyond them the earliest arrivals are dropped.
class SupersededTimes {
 public:
  // The head of an item's chain, its latest time; none in a new item.
  enum class Chain : std::uint64_t { none = 0 };

  explicit SupersededTimes(const HistoryLimits& limits)
      : retention_{std::chrono::duration_cast<std::chrono::seconds>(limits.retention)}, bytes_{limits.bytes} {}

  // Adds a time. `second` is that of its arrival, and never decreases.
  void add(Chain& chain, Time time, std::uint32_t second) {
    if (log_.size() * sizeof(Superseded) >= bytes_) drop_until(begin_ + 1);
    if (marks_.empty() || marks_.back().second != second) marks_.push_back({second, end()});
    log_.push_back({time, chain});
    chain = static_cast<Chain>(end() - 1);
  }

  // Takes the times up to `until` out of a chain, and calls take(time) for each.
  template <class Take>
  void extract(Chain& chain, Time until, const Take& take) {
    for (Chain* link = &chain; static_cast<std::uint64_t>(*link) >= begin_;) {
      Superseded& earlier = log_[static_cast<std::uint64_t>(*link) - begin_];
      if (earlier.time > until) {
        link = &earlier.previous;
        continue;
      }
      take(earlier.time);
      *link = earlier.previous;
    }
  }

  // Drops times that are older than the retention. `now` is a second, as in add().
  void forget(std::uint32_t now) {
    while (!marks_.empty() && std::chrono::seconds{now - marks_.front().second} > retention_) {
      marks_.pop_front();
      drop_until(marks_.empty() ? end() : marks_.front().begin);
    }
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return log_.size() * sizeof(Superseded); }

 private:
  struct Superseded {
    Time time;
    Chain previous;
  };
  struct Mark {
    std::uint32_t second;
    std::uint64_t begin;  // number of its first time
  };

  [[nodiscard]] std::uint64_t end() const noexcept { return begin_ + log_.size(); }

  void drop_until(std::uint64_t number) {
    for (; begin_ < number; ++begin_) log_.pop_front();
  }

  std::chrono::seconds retention_;
  std::size_t bytes_;
  std::deque<Superseded> log_;
  std::uint64_t begin_ = 1;  // number of the first time in log_
  std::deque<Mark> marks_;
};

}  // namespace qatime::backlog

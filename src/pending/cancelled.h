// SPDX-License-Identifier: MIT
// Accesses whose objects are gone, as far as is known: a move that is heard of late may show that they had another name
// by then. One owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/timestamp.h"
#include "pending/history_limits.h"
#include "pending/renames.h"

namespace qatime::backlog {

// Bounds: the retention and the bytes of `limits`; beyond the bytes the earliest to arrive are forgotten. O(log size).
class CancelledAccesses {
 public:
  struct Cancelled {
    std::string path;  // at `time`
    Time time;         // of the access
    Order by;          // the change that ended the object
  };

  explicit CancelledAccesses(const HistoryLimits& limits) : limits_{limits} {}
  CancelledAccesses(const CancelledAccesses&) = delete;
  CancelledAccesses& operator=(const CancelledAccesses&) = delete;

  void remember(Cancelled cancelled, Clock::Instant now);
  void forget(Clock::Instant now);

  // Removes the accesses up to `until` of `path` and all below it, and returns them.
  [[nodiscard]] std::vector<Cancelled> extract(std::string_view path, Time until);

  [[nodiscard]] bool empty() const noexcept { return cancelled_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Remembered {
    Cancelled cancelled;
    Clock::Instant arrival;
  };
  using Number = std::uint64_t;
  void drop(Number number);
  static std::size_t bytes_of(const Cancelled& cancelled);

  HistoryLimits limits_;
  std::size_t bytes_ = 0;
  Number last_ = 0;
  std::map<Number, Remembered> cancelled_;                 // in the order of arrival
  std::set<std::pair<std::string_view, Number>> by_path_;  // views of Cancelled::path
};

}  // namespace qatime::backlog

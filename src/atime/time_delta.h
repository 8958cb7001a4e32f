// SPDX-License-Identifier: MIT
// The granularity of the times of a server (time_delta, RFC 1813 section 3.3.19).
#pragma once

#include <chrono>
#include <string_view>

#include "base/timestamp.h"

namespace qatime::atime {

// The time delta of one export, learned from the server's reports after a SETATTR. File systems round down, to units
// from 1 ns to two seconds. The latest report counts, because one export can have several file systems. One thread.
class TimeDelta {
 public:
  enum class Observation {
    as_expected,
    rounded,    // more coarsely than any report before
    different,  // neither the time asked for nor that time rounded down
  };
  // Learns from a SETATTR of `asked`, after which the server reports `reported`.
  Observation observe(Time asked, Time reported) noexcept;

  // Returns the time that the server makes of `time`. Times of nfstime3.
  [[nodiscard]] Time kept(Time time) const noexcept;

  // Returns the unit as text: "1 us".
  [[nodiscard]] std::string_view name() const noexcept;

 private:
  std::chrono::nanoseconds unit_{1};
  std::chrono::nanoseconds coarsest_{1};
};

}  // namespace qatime::atime

// SPDX-License-Identifier: MIT
// The granularity of the times of a server (time_delta, RFC 1813 section 3.3.19).
#pragma once

#include <chrono>
#include <string_view>

#include "base/timestamp.h"

namespace qatime {

// One export's, learned from what its server reports after a SETATTR: file systems round down, to anything between
// 100 ns and two seconds. The last report that tells is believed, since one export may have several file systems.
// One thread.
class TimeDelta {
 public:
  enum class Observation {
    as_expected,
    rounded,    // more coarsely than any report before
    different,  // neither what was asked for nor that rounded down
  };
  // The server was asked for the time `asked` and says that the object has `reported` now.
  Observation observe(Time asked, Time reported) noexcept;

  // What the server makes of a time. Times of nfstime3.
  [[nodiscard]] Time kept(Time time) const noexcept;

  // "1 us".
  [[nodiscard]] std::string_view name() const noexcept;

 private:
  std::chrono::nanoseconds unit_{1};
  std::chrono::nanoseconds coarsest_{1};
};

}  // namespace qatime

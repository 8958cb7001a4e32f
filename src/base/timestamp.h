// SPDX-License-Identifier: MIT
// Points in time, and their text form of RFC 3339.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qatime {

// UTC, nanoseconds since 1970-01-01T00:00:00Z, without leap seconds; years 1678 to 2261.
using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

// Reads `YYYY-MM-DDTHH:MM:SS[.f{0,9}][Z|+HH:MM|-HH:MM]` (RFC 3339 section 5.6, RFC 5424 section 6.2.3),
// all of `text`. Without an offset the time is UTC. A leap second (`:60`) is the first instant of the
// next minute. Returns nothing for any other text and for times that `Time` cannot hold.
[[nodiscard]] std::optional<Time> parse_rfc3339(std::string_view text) noexcept;

// Cuts the fraction of a second that `text` begins with, `.f{0,9}`, off it; 0 if there is none.
[[nodiscard]] std::chrono::nanoseconds take_fraction(std::string_view& text) noexcept;

// `2026-01-27T14:12:23.955800000Z`: always nine digits, always UTC.
[[nodiscard]] std::string format_rfc3339(Time time);

// Now, by the system's clock.
[[nodiscard]] inline Time now() noexcept {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

// The range of nfstime3 (RFC 1813 section 2.5): 1970-01-01 to 2106-02-07.
[[nodiscard]] constexpr bool fits_nfstime3(Time time) noexcept {
  constexpr Time kBegin{};
  constexpr Time kEnd{std::chrono::seconds{std::int64_t{1} << 32}};
  return time >= kBegin && time < kEnd;
}

}  // namespace qatime

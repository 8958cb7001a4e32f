// SPDX-License-Identifier: MIT
// Points in time, and their text form of RFC 3339.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qatime {

// A time in UTC: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds; years 1678 to 2261.
using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

// Reads `YYYY-MM-DDTHH:MM:SS[.f{0,9}][Z|+HH:MM|-HH:MM]` (RFC 3339 section 5.6, RFC 5424 section 6.2.3), all of `text`.
// `T` and `Z` may be small letters. A time without an offset is read as UTC. A leap second (`:60`) is the first instant
// of the next minute. Returns nothing for other text and for times that `Time` cannot hold.
[[nodiscard]] std::optional<Time> parse_rfc3339(std::string_view text) noexcept;

// Whether `text` ends in its offset. It is text that parse_rfc3339() can read.
[[nodiscard]] constexpr bool has_offset(std::string_view text) noexcept {
  if (text.ends_with('Z') || text.ends_with('z')) return true;
  constexpr std::size_t kSize = std::string_view{"+00:00"}.size();
  const char sign = text.size() < kSize ? '\0' : text[text.size() - kSize];
  return sign == '+' || sign == '-';
}

// Reads the fraction of a second at the front of `text`, `.f{0,9}`, and removes it. Returns 0 if there is none.
[[nodiscard]] std::chrono::nanoseconds take_fraction(std::string_view& text) noexcept;

// Formats `2026-01-27T14:12:23.955800000Z`: always nine digits, always UTC.
[[nodiscard]] std::string format_rfc3339(Time time);

// Returns the current time of the system's clock.
[[nodiscard]] inline Time now() noexcept {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

// The times from `begin` on and before `end`. The default is what nfstime3 (RFC 1813 section 2.5) can hold: 1970-01-01
// to 2106-02-07.
struct Period {
  Time begin{};
  Time end{std::chrono::seconds{std::int64_t{1} << 32}};

  [[nodiscard]] constexpr bool has(Time time) const noexcept { return time >= begin && time < end; }
};

// Whether nfstime3 can hold `time`.
[[nodiscard]] constexpr bool fits_nfstime3(Time time) noexcept { return Period{}.has(time); }

}  // namespace qatime

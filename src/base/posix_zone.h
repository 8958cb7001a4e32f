// SPDX-License-Identifier: MIT
// The rule by which the clocks of a zone go: a TZ string of POSIX (IEEE 1003.1 section 8.3), with the extensions of
// RFC 8536 section 3.3.1.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qatime {

// Immutable; any thread.
class PosixZone {
 public:
  // Reads all of `text`, like "CET-1CEST,M3.5.0,M10.5.0/3". Returns nothing for other text, and where daylight saving
  // time has no dates.
  [[nodiscard]] static std::optional<PosixZone> parse(std::string_view text) noexcept;

  // Returns local time minus UTC.
  [[nodiscard]] std::chrono::seconds offset_at(std::chrono::sys_seconds time) const noexcept;

 private:
  friend class PosixZoneReader;

  // A day of every year and a time on it, by the clock in force before the change.
  struct Rule {
    enum class Kind : std::uint8_t {
      weekday,     // Mm.w.d: weekday `day`, from 0 for Sunday, for the `week`th time in `month`, 5: for the last
      common_day,  // Jn: day 1 to 365 of a year without 29 February
      day,         // n: day 0 to 365
    };
    Kind kind = Kind::weekday;
    unsigned month = 1;
    unsigned week = 1;
    unsigned day = 0;
    std::chrono::seconds time = std::chrono::hours{2};

    [[nodiscard]] std::chrono::local_seconds in(std::chrono::year year) const noexcept;
  };
  struct Saving {
    std::chrono::seconds offset;
    Rule begin;
    Rule end;
  };

  std::chrono::seconds standard_{};
  std::optional<Saving> saving_;  // nothing: standard time all year
};

}  // namespace qatime

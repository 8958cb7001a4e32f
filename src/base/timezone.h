// SPDX-License-Identifier: MIT
// Local time of a zone of the IANA database.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/posix_zone.h"

namespace qatime {

// The usual directory of the IANA database.
inline constexpr const char* kZoneinfo = "/usr/share/zoneinfo";

// Immutable; any thread. It neither uses nor changes the C library's own zone.
class TimeZone {
 public:
  // UTC.
  TimeZone() = default;

  // Reads the file of the zone `name`, like "Europe/Berlin", below `directory`. "UTC" needs no file. Returns nothing if
  // the file does not exist or parse() refuses it.
  [[nodiscard]] static std::optional<TimeZone> load(std::string_view name, const std::string& directory = kZoneinfo);

  // Reads a TZif file (RFC 8536) of version 2 or later, without leap seconds. Returns nothing for other bytes.
  [[nodiscard]] static std::optional<TimeZone> parse(std::string_view name, std::string_view bytes);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Compares names only; the file might have changed between two loads.
  friend bool operator==(const TimeZone& a, const TimeZone& b) noexcept { return a.name_ == b.name_; }

  // Returns the time at which the clocks of the zone show `local`. Where they show it twice (clocks go back), returns
  // the earlier time. Where they skip it (clocks go forward), uses the offset from before the change.
  [[nodiscard]] std::chrono::sys_seconds to_utc(std::chrono::local_seconds local) const;

 private:
  struct Transition {
    std::chrono::sys_seconds from;
    std::chrono::seconds offset;  // local time minus UTC
  };

  [[nodiscard]] std::chrono::seconds offset_at(std::chrono::sys_seconds time) const;

  std::string name_ = "UTC";
  std::chrono::seconds first_{};         // the offset before the first transition
  std::vector<Transition> transitions_;  // in the order of time
  std::optional<PosixZone> rule_;        // for times after the last transition; nothing: its offset stays in force
};

}  // namespace qatime

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

// Where systems keep the database.
inline constexpr const char* kZoneinfo = "/usr/share/zoneinfo";

// Immutable; any thread. The C library's own zone is neither used nor changed.
class TimeZone {
 public:
  // UTC.
  TimeZone() = default;

  // Reads the file of the zone `name`, like "Europe/Berlin", below `directory`; "UTC" needs none. Nothing if there is
  // no such file, or its content is not what parse() reads.
  [[nodiscard]] static std::optional<TimeZone> load(std::string_view name, const std::string& directory = kZoneinfo);

  // Reads a file of RFC 8536 of version 2 or later, without leap seconds.
  [[nodiscard]] static std::optional<TimeZone> parse(std::string_view name, std::string_view bytes);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Of the name; its file may have changed in between.
  friend bool operator==(const TimeZone& a, const TimeZone& b) noexcept { return a.name_ == b.name_; }

  // When the clocks of the zone show `local`: of a time that they show twice the first; a time that they skip is taken
  // as if they had not been put forward.
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
  std::optional<PosixZone> rule_;        // from the last transition on; nothing: its offset stays
};

}  // namespace qatime

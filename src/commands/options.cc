// SPDX-License-Identifier: MIT
#include <algorithm>

#include "commands/commands.h"

namespace qatime::commands {

Config ConfigSource::load(log::Level least) const {
  Config config = read();
  log::set_level(std::max(config.log.level, least));
  log::set_format(config.log.format);
  return config;
}

Time parse_time_option(const std::optional<std::string>& text) {
  if (!text) return now();
  const auto time = parse_rfc3339(*text);
  if (!time || !fits_nfstime3(*time)) {
    throw UsageError{"--time must be a time of RFC 3339 from 1970 to 2106, like 2026-01-27T14:12:23.5Z"};
  }
  return *time;
}

}  // namespace qatime::commands

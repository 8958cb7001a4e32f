// SPDX-License-Identifier: MIT
#include <algorithm>

#include <fmt/core.h>

#include "commands/commands.h"

namespace qatime::commands {

Config ConfigSource::load(log::Level least) const {
  Config config = read();
  log::set_level(std::max(config.log.level, least));
  log::set_format(config.log.format);
  return config;
}

Time parse_time_option(std::string_view option, const std::optional<std::string>& text, Time otherwise) {
  if (!text) return otherwise;
  const auto time = parse_rfc3339(*text);
  if (!time || !has_offset(*text) || !fits_nfstime3(*time)) {
    throw UsageError{
        fmt::format("{} must be a time of RFC 3339 from 1970 to 2106, like 2026-01-27T14:12:23.5Z", option)};
  }
  return *time;
}

}  // namespace qatime::commands

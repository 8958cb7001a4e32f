// SPDX-License-Identifier: MIT
// The error of a socket that cannot be opened.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"

namespace qatime::ingest {

// A listener cannot be opened. One line that says which one and why.
class ListenError : public ConfigError {
 public:
  ListenError(const SyslogConfig::Listener& listener, std::string_view reason);
};

// Formats a listener as in `syslog.listen`: "tcp://192.0.2.1:1514", "udp://[::1]:1514".
[[nodiscard]] std::string describe(const SyslogConfig::Listener& listener);

}  // namespace qatime::ingest

// SPDX-License-Identifier: MIT
#include "ingest/listen/listen_error.h"

#include <array>
#include <cstddef>
#include <string>

#include <fmt/core.h>

namespace qatime::ingest {

ListenError::ListenError(const SyslogConfig::Listener& listener, std::string_view reason)
    : ConfigError{fmt::format("cannot listen on {} (syslog.listen): {}", describe(listener), reason)} {}

std::string describe(const SyslogConfig::Listener& listener) {
  constexpr std::array kTransports{"tcp", "udp", "tls"};  // as enumerated
  const bool is_v6 = listener.address.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", kTransports.at(static_cast<std::size_t>(listener.transport)), is_v6 ? "[" : "",
                     listener.address, is_v6 ? "]" : "", listener.port);
}

}  // namespace qatime::ingest

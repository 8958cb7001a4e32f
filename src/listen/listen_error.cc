// SPDX-License-Identifier: MIT
#include "listen/listen_error.h"

#include <array>
#include <cstddef>
#include <string>

#include <fmt/core.h>

#include "base/url.h"

namespace qatime::ingest {

ListenError::ListenError(const SyslogConfig::Listener& listener, std::string_view reason)
    : ConfigError{fmt::format("cannot listen on {} (syslog.listen): {}", describe(listener), reason)} {}

std::string describe(const SyslogConfig::Listener& listener) {
  constexpr std::array kTransports{"tcp", "udp", "tls"};  // as enumerated
  return fmt::format("{}://{}", kTransports.at(static_cast<std::size_t>(listener.transport)),
                     format_host_port(listener.address, listener.port));
}

}  // namespace qatime::ingest

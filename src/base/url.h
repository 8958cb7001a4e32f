// SPDX-License-Identifier: MIT
// Hosts with their ports and URLs, as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qatime {

struct HostPort {
  std::string host;  // a name, or a numeric address without brackets
  std::optional<std::uint16_t> port;
};

// Reads "host", "host:port", "[::1]", "[::1]:port", or a bare IPv6 address. Returns nothing for other text.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);

// Returns "host:port", or "[::1]:port" for an IPv6 address.
[[nodiscard]] std::string format_host_port(std::string_view host, std::uint16_t port);

// A URL (RFC 3986 section 3) without user, query and fragment.
struct ParsedUrl {
  std::string scheme;
  HostPort server;
  std::string path;  // from its first "/" on; empty: none
};

// Reads "scheme://host[:port][/path]". Returns nothing for other text, and for an IPv6 address without brackets: its
// last part might be meant for a port.
[[nodiscard]] std::optional<ParsedUrl> parse_url(std::string_view text);

}  // namespace qatime

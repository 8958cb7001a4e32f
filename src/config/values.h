// SPDX-License-Identifier: MIT
// The parsers of strings in a configuration. Each returns nothing for a string that is not allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace qatime {

// Whether it is a numeric address, IPv4 or IPv6.
[[nodiscard]] bool is_address(const std::string& text);

struct HostPort {
  std::string host;  // a name, or an address without brackets
  std::optional<std::uint16_t> port;
};

// "host", "host:port", "[::1]", "[::1]:port", or a bare IPv6 address.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);

// "tcp://ADDRESS:PORT", likewise udp and tls.
[[nodiscard]] std::optional<SyslogConfig::Listener> parse_listener(std::string_view text);

// "ADDRESS:PORT".
[[nodiscard]] std::optional<AdminConfig::ListenAddress> parse_admin_listener(std::string_view text);

// As parse_host_port(); port 0 is none.
[[nodiscard]] std::optional<NfsConfig::Server> parse_server(const std::string& text);

// "local" or "redis".
[[nodiscard]] std::optional<BacklogConfig::Kind> parse_backlog_kind(std::string_view text);

// "redis://HOST[:PORT][/DATABASE]" or "rediss://...", as IANA's provisional schemes have it, but without a password:
// who lists processes would read it.
[[nodiscard]] std::optional<RedisConfig::Url> parse_redis_url(std::string_view text);

// As parse_server(), with the usual port of a sentinel.
[[nodiscard]] std::optional<RedisConfig::Endpoint> parse_sentinel(const std::string& text);

// What may stand in front of all keys of Redis: braces would change their slots in a Cluster.
[[nodiscard]] std::optional<std::string> parse_redis_prefix(std::string_view text);

// What a mount protocol path may be (RFC 1813 section 5.1.4, MNTPATHLEN); it is the server's to understand.
[[nodiscard]] bool is_export(const std::string& text);

// Anything but nothing.
[[nodiscard]] std::optional<std::string> parse_word(const std::string& text);

// The name of a host, with "*" for its first label if any will do, or an address.
[[nodiscard]] std::optional<std::string> parse_peer(const std::string& text);

// An absolute path, made normal.
[[nodiscard]] std::optional<std::string> parse_path(const std::string& text);

}  // namespace qatime

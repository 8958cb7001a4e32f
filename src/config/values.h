// SPDX-License-Identifier: MIT
// The parsers of strings in a configuration. Each returns nothing for a string that is not allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace qatime {

// Reads "tcp://ADDRESS:PORT", "udp://..." or "tls://...".
[[nodiscard]] std::optional<SyslogConfig::Listener> parse_listener(std::string_view text);

// Reads "ADDRESS:PORT".
[[nodiscard]] std::optional<AdminConfig::ListenAddress> parse_admin_listener(std::string_view text);

// Reads like parse_host_port() (base/url.h), but does not allow port 0. A missing port becomes 0.
[[nodiscard]] std::optional<NfsConfig::Server> parse_server(const std::string& text);

// Reads "local" or "redis".
[[nodiscard]] std::optional<BacklogConfig::Kind> parse_backlog_kind(std::string_view text);

// Reads "redis://HOST[:PORT][/DATABASE]" or "rediss://..." (provisional URI schemes at IANA). Does not allow a
// password, because every user who lists processes could read it.
[[nodiscard]] std::optional<RedisConfig::Url> parse_redis_url(std::string_view text);

// Reads like parse_server(). A missing port becomes 26379, the usual port of a sentinel.
[[nodiscard]] std::optional<RedisConfig::Endpoint> parse_sentinel(const std::string& text);

// Reads the prefix of all keys in Redis: 1 to 64 letters, digits, '-', '_', '.' and ':'. Does not allow braces, because
// they would change the slots of the keys in a Redis Cluster.
[[nodiscard]] std::optional<std::string> parse_redis_prefix(std::string_view text);

// Whether `text` can be a path of the mount protocol (RFC 1813 section 5.1.4, MNTPATHLEN). The server decides whether
// it exists.
[[nodiscard]] bool is_export(const std::string& text);

// Reads any text but the empty one.
[[nodiscard]] std::optional<std::string> parse_word(const std::string& text);

// Reads a name that a certificate can have: a host name, whose first label may be "*" for any label, or an address. Or
// reads a fingerprint of one (RFC 5425 section 4.2.2), "sha-1:" or "sha-256:" and its bytes, like "sha-1:E1:2D:...".
[[nodiscard]] std::optional<std::string> parse_peer(const std::string& text);

// Reads the name of a host and makes its letters small.
[[nodiscard]] std::optional<std::string> parse_host_name(const std::string& text);

// Reads an absolute path and makes it normal (base/path.h).
[[nodiscard]] std::optional<std::string> parse_path(const std::string& text);

}  // namespace qatime

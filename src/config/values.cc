// SPDX-License-Identifier: MIT
#include "config/values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include <arpa/inet.h>

#include "base/path.h"
#include "config/units.h"

namespace qatime {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number(text, 0, std::numeric_limits<std::uint16_t>::max());
  return port ? std::optional{static_cast<std::uint16_t>(*port)} : std::nullopt;
}

std::optional<RedisConfig::Endpoint> parse_redis_server(std::string_view text, std::uint16_t usual_port) {
  const auto endpoint = parse_host_port(text);
  if (!endpoint || endpoint->port == 0) return std::nullopt;
  return RedisConfig::Endpoint{endpoint->host, endpoint->port.value_or(usual_port)};
}

}  // namespace

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  if (is_address(std::string{text})) return HostPort{std::string{text}, {}};
  std::string_view rest;
  HostPort parsed;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parsed.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (!is_address(parsed.host)) return std::nullopt;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    parsed.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (parsed.host.find_first_of(" \t/@[]") != std::string::npos) return std::nullopt;
  }
  if (parsed.host.empty()) return std::nullopt;
  if (rest.empty()) return parsed;
  parsed.port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  return parsed.port ? std::optional{parsed} : std::nullopt;
}

std::optional<SyslogConfig::Listener> parse_listener(std::string_view text) {
  using Transport = SyslogConfig::Listener::Transport;
  constexpr std::array kTransports{std::pair{"tcp://", Transport::tcp}, std::pair{"udp://", Transport::udp},
                                   std::pair{"tls://", Transport::tls}};
  const auto transport =
      std::ranges::find_if(kTransports, [&](const auto& each) { return text.starts_with(each.first); });
  if (transport == kTransports.end()) return std::nullopt;
  const auto endpoint = parse_host_port(text.substr(6));
  if (!endpoint || !endpoint->port || !is_address(endpoint->host)) return std::nullopt;
  return SyslogConfig::Listener{transport->second, endpoint->host, *endpoint->port};
}

std::optional<AdminConfig::ListenAddress> parse_admin_listener(std::string_view text) {
  const auto endpoint = parse_host_port(text);
  if (!endpoint || !endpoint->port || !is_address(endpoint->host)) return std::nullopt;
  return AdminConfig::ListenAddress{endpoint->host, *endpoint->port};
}

std::optional<NfsConfig::Server> parse_server(const std::string& text) {
  const auto endpoint = parse_host_port(text);
  if (!endpoint || endpoint->port == 0) return std::nullopt;
  return NfsConfig::Server{endpoint->host, endpoint->port.value_or(0)};
}

std::optional<BacklogConfig::Kind> parse_backlog_kind(std::string_view text) {
  if (text == "local") return BacklogConfig::Kind::local;
  if (text == "redis") return BacklogConfig::Kind::redis;
  return std::nullopt;
}

std::optional<RedisConfig::Url> parse_redis_url(std::string_view text) {
  RedisConfig::Url url;
  url.uses_tls = text.starts_with("rediss://");
  if (!url.uses_tls && !text.starts_with("redis://")) return std::nullopt;
  text.remove_prefix(text.find("//") + 2);
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto server = parse_redis_server(text.substr(0, slash), url.server.port);
  if (!server) return std::nullopt;
  url.server = *server;
  const std::string_view database = text.substr(std::min(slash + 1, text.size()));
  const auto number = database.empty() ? std::optional<std::uint16_t>{0} : parse_port(database);
  if (!number) return std::nullopt;
  url.database = *number;
  return url;
}

std::optional<RedisConfig::Endpoint> parse_sentinel(const std::string& text) {
  constexpr std::uint16_t kPort = 26'379;
  return parse_redis_server(text, kPort);
}

std::optional<std::string> parse_redis_prefix(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";
  constexpr std::size_t kMost = 64;
  const bool is_right = !text.empty() && text.size() <= kMost && text.find_first_not_of(kAllowed) == text.npos;
  return is_right ? std::optional{std::string{text}} : std::nullopt;
}

bool is_export(const std::string& text) {
  constexpr std::size_t kMntPathLen = 1024;
  return text.starts_with('/') && text.size() <= kMntPathLen && text.find('\0') == std::string::npos;
}

namespace {

// Reads "sha-1:" or "sha-256:" and as many bytes in hexadecimal as such a hash has, with colons between. Makes the
// letters of the bytes large and those of the label small.
std::optional<std::string> parse_fingerprint(const std::string& text) {
  const std::size_t label = text.find(':');
  if (label == text.npos) return std::nullopt;
  std::string made = text;
  for (std::size_t i = 0; i < label; ++i)
    made[i] = static_cast<char>(std::tolower(static_cast<unsigned char>(made[i])));
  const std::string_view name = std::string_view{made}.substr(0, label);
  const std::size_t bytes = name == "sha-1" ? 20 : name == "sha-256" ? 32 : 0;
  if (bytes == 0 || made.size() != label + 3 * bytes) return std::nullopt;
  for (std::size_t i = label; i < made.size(); ++i) {
    const bool is_digit = std::isxdigit(static_cast<unsigned char>(made[i])) != 0;
    if ((i - label) % 3 == 0 ? made[i] != ':' : !is_digit) return std::nullopt;
    made[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(made[i])));
  }
  return made;
}

}  // namespace

std::optional<std::string> parse_word(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

std::optional<std::string> parse_peer(const std::string& text) {
  if (const auto fingerprint = parse_fingerprint(text)) return fingerprint;
  if (is_address(text)) return text;
  const std::string_view name = std::string_view{text}.substr(text.starts_with("*.") ? 2 : 0);
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const bool is_name = !name.empty() && !name.starts_with('.') && !name.ends_with('.') &&
                       name.find("..") == name.npos && name.find_first_not_of(kAllowed) == name.npos;
  return is_name ? std::optional{text} : std::nullopt;
}

std::optional<std::string> parse_path(const std::string& text) {
  const auto normal = normal_path(text);
  return normal ? std::optional{std::string{*normal}} : std::nullopt;
}

}  // namespace qatime

// SPDX-License-Identifier: MIT
#include "config/values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/address.h"
#include "base/path.h"
#include "base/url.h"
#include "config/units.h"

namespace qatime {
namespace {

std::optional<RedisConfig::Endpoint> redis_server(const std::optional<HostPort>& named, std::uint16_t usual_port) {
  if (!named || named->port == 0) return std::nullopt;
  return RedisConfig::Endpoint{named->host, named->port.value_or(usual_port)};
}

}  // namespace

std::optional<SyslogConfig::Listener> parse_listener(std::string_view text) {
  using Transport = SyslogConfig::Listener::Transport;
  constexpr std::array kTransports{std::pair{"tcp", Transport::tcp}, std::pair{"udp", Transport::udp},
                                   std::pair{"tls", Transport::tls}};
  const auto url = parse_url(text);
  if (!url || !url->path.empty() || !url->server.port || !is_address(url->server.host)) return std::nullopt;
  const auto transport = std::ranges::find_if(kTransports, [&](const auto& each) { return url->scheme == each.first; });
  if (transport == kTransports.end()) return std::nullopt;
  return SyslogConfig::Listener{transport->second, url->server.host, *url->server.port};
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
  const auto url = parse_url(text);
  if (!url || (url->scheme != "redis" && url->scheme != "rediss")) return std::nullopt;
  const auto server = redis_server(url->server, RedisConfig::Url{}.server.port);
  const bool has_database = url->path.size() > 1;
  constexpr std::uint64_t kMostDatabase = std::numeric_limits<std::uint16_t>::max();
  const auto database = parse_number(has_database ? std::string_view{url->path}.substr(1) : "0", 0, kMostDatabase);
  if (!server || !database) return std::nullopt;
  return RedisConfig::Url{*server, static_cast<unsigned>(*database), url->scheme == "rediss"};
}

std::optional<RedisConfig::Endpoint> parse_sentinel(const std::string& text) {
  constexpr std::uint16_t kPort = 26'379;
  return redis_server(parse_host_port(text), kPort);
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

bool is_host_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !name.empty() && !name.starts_with('.') && !name.ends_with('.') && name.find("..") == name.npos &&
         name.find_first_not_of(kAllowed) == name.npos;
}

std::string in_small_letters(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return text;
}

// Reads "sha-1:" or "sha-256:" and as many bytes in hexadecimal as such a hash has, with colons between. Makes the
// letters of the bytes large and those of the label small.
std::optional<std::string> parse_fingerprint(const std::string& text) {
  const std::size_t label = text.find(':');
  if (label == text.npos) return std::nullopt;
  std::string made = in_small_letters(text.substr(0, label)) + text.substr(label);
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
  return is_host_name(std::string_view{text}.substr(text.starts_with("*.") ? 2 : 0)) ? std::optional{text}
                                                                                     : std::nullopt;
}

std::optional<std::string> parse_host_name(const std::string& text) {
  if (!is_host_name(text) || is_address(text)) return std::nullopt;
  return in_small_letters(text);
}

std::optional<std::string> parse_path(const std::string& text) {
  const auto normal = normal_path(text);
  return normal ? std::optional{std::string{*normal}} : std::nullopt;
}

}  // namespace qatime

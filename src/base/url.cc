// SPDX-License-Identifier: MIT
// Boost.URL 1.81 would be no fewer lines: users, empty and percent-encoded hosts, and ports over 65535 are left to its
// caller, and lists of hosts are no URLs.
#include "base/url.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include <fmt/core.h>

#include "base/address.h"

namespace qatime {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const char* const first = text.data();
  const char* const last = first + text.size();
  const auto [end, error] = std::from_chars(first, last, port);
  return error == std::errc{} && end == last ? std::optional{port} : std::nullopt;
}

// Whether it may be part of a host, a scheme or a path here.
bool is_plain(char c) noexcept { return static_cast<unsigned char>(c) > ' ' && c != '\x7F' && c != '?' && c != '#'; }

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  if (is_address(text)) return HostPort{std::string{text}, {}};
  const bool is_bracketed = text.starts_with('[');
  const std::size_t end = is_bracketed ? text.find(']') : std::min(text.find(':'), text.size());
  if (end == text.npos) return std::nullopt;
  const std::string_view host = text.substr(0, end).substr(is_bracketed ? 1 : 0);
  const std::string_view rest = text.substr(end + (is_bracketed ? 1 : 0));
  const bool is_name = !host.empty() && host.find_first_of("/@[]") == host.npos && std::ranges::all_of(host, is_plain);
  if (is_bracketed ? !is_address(host) : !is_name) return std::nullopt;
  HostPort parsed{std::string{host}, {}};
  if (rest.empty()) return parsed;
  parsed.port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  return parsed.port ? std::optional{parsed} : std::nullopt;
}

std::string format_host_port(std::string_view host, std::uint16_t port) {
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::optional<ParsedUrl> parse_url(std::string_view text) {
  constexpr std::string_view kMark = "://";
  const std::size_t mark = text.find(kMark);
  if (mark == text.npos || !std::ranges::all_of(text, is_plain)) return std::nullopt;
  const std::string_view rest = text.substr(mark + kMark.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  const auto server =
      is_address(authority) && authority.find(':') != authority.npos ? std::nullopt : parse_host_port(authority);
  if (!server) return std::nullopt;
  return ParsedUrl{std::string{text.substr(0, mark)}, *server, std::string{rest.substr(slash)}};
}

}  // namespace qatime

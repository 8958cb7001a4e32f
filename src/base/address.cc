// SPDX-License-Identifier: MIT
// Networks of Asio would be no fewer lines: its parsers take 10.0.0.0/4294967304 for /8, and text with a NUL behind the
// address. Its comparison of an address with a network takes twice the instructions.
#include "base/address.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace qatime {
namespace {

constexpr Address kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr unsigned kMappedLength = 96;

bool is_ipv4(const Address& address) noexcept {
  return std::equal(kMapped.begin(), kMapped.begin() + kMappedLength / 8, address.begin());
}

// Reads an address without a zone.
std::optional<Address> parse_numeric(std::string_view text) noexcept {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would not see what is behind it
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::ranges::copy(text, terminated.begin());

  Address address{};
  if (inet_pton(AF_INET6, terminated.data(), address.data()) == 1) return address;
  address = kMapped;
  if (inet_pton(AF_INET, terminated.data(), address.data() + kMappedLength / 8) == 1) return address;
  return std::nullopt;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) noexcept {
  const bool is_v6 = text.find(':') != std::string_view::npos;
  return parse_numeric(is_v6 ? text.substr(0, text.find('%')) : text);
}

bool is_address(std::string_view text) noexcept { return parse_numeric(text).has_value(); }

std::string format_address(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_ipv4(address)) {
    inet_ntop(AF_INET, address.data() + kMappedLength / 8, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, address.data(), text.data(), text.size());
  }
  return text.data();
}

Address ipv4_address(const void* bytes) noexcept {
  Address address = kMapped;
  std::memcpy(address.data() + kMappedLength / 8, bytes, sizeof(in_addr));
  return address;
}

Address address_of(const sockaddr& socket) noexcept {
  Address address{};
  if (socket.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &socket, sizeof v6);
    std::memcpy(address.data(), &v6.sin6_addr, address.size());
  } else if (socket.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &socket, sizeof v4);
    address = ipv4_address(&v4.sin_addr);
  }
  return address;
}

std::optional<Address> local_address(int socket) noexcept {
  sockaddr_storage storage{};
  auto& local = reinterpret_cast<sockaddr&>(storage);
  socklen_t size = sizeof storage;
  if (::getsockname(socket, &local, &size) != 0) return std::nullopt;
  return address_of(local);
}

// connect() of a UDP socket looks for the route, and that is all (udp(7)).
std::optional<Address> source_towards(const sockaddr& peer, std::size_t size) noexcept {
  const int socket = ::socket(peer.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::nullopt;
  const bool has_route = ::connect(socket, &peer, static_cast<socklen_t>(size)) == 0;
  const auto address = has_route ? local_address(socket) : std::nullopt;
  ::close(socket);
  return address;
}

std::optional<Network> parse_network(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const std::string_view front = text.substr(0, slash);
  const auto address = parse_numeric(front);
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Network{*address, 128};

  const std::string_view digits = text.substr(slash + 1);
  const unsigned before = front.find(':') == std::string_view::npos ? kMappedLength : 0;
  unsigned length = 0;
  const char* const first = digits.data();
  const char* const last = first + digits.size();
  const auto [end, error] = std::from_chars(first, last, length);
  if (error != std::errc{} || end != last || length > 128 - before) return std::nullopt;
  return Network{*address, before + length};
}

bool contains(const Network& network, const Address& address) noexcept {
  if (network.length < kMappedLength && is_ipv4(address)) return false;
  const std::size_t bytes = network.length / 8;
  if (!std::equal(address.begin(), address.begin() + bytes, network.address.begin())) return false;
  const unsigned bits = network.length % 8;
  return bits == 0 || (address[bytes] ^ network.address[bytes]) >> (8 - bits) == 0;
}

bool contains(std::span<const Network> networks, const Address& address) noexcept {
  return std::ranges::any_of(networks, [&](const Network& network) { return contains(network, address); });
}

}  // namespace qatime

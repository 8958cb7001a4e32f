// SPDX-License-Identifier: MIT
// IP addresses and networks of them, IPv4 and IPv6 alike.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sockaddr;

namespace qatime {

// An IPv6 address in network order; an IPv4 one is mapped into it (RFC 4291 section 2.5.5.2), so that both spellings
// are equal.
using Address = std::array<unsigned char, 16>;

// Reads a numeric address; the zone of a link-local one is left out. Nothing for other text.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text) noexcept;

// As people write it: an IPv4 one as such.
[[nodiscard]] std::string format_address(const Address& address);

// The address of an IPv4 or IPv6 socket, the unspecified one for any other.
[[nodiscard]] Address address_of(const sockaddr& socket) noexcept;

// The addresses that have the first `length` bits of `address` in common, but for IPv4 ones where these are in IPv6
// networks alone: "::/0" is all of IPv6, "0.0.0.0/0" and "::ffff:0:0/96" are all of IPv4.
struct Network {
  Address address;
  unsigned length;  // 0 to 128
  friend bool operator==(const Network&, const Network&) = default;
};

// Reads CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3): "192.0.2.0/24", "2001:db8::/32", or an address,
// which is a network of its own. Bits behind the length are ignored. Nothing for other text.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text) noexcept;

[[nodiscard]] bool contains(const Network& network, const Address& address) noexcept;

// Whether one of them does.
[[nodiscard]] bool contains(std::span<const Network> networks, const Address& address) noexcept;

}  // namespace qatime

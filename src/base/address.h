// SPDX-License-Identifier: MIT
// IP addresses and networks of them, IPv4 and IPv6 alike.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sockaddr;

namespace qatime {

// An IPv6 address in network byte order. An IPv4 address is stored IPv4-mapped (RFC 4291 section 2.5.5.2), so that both
// spellings of it are equal.
using Address = std::array<unsigned char, 16>;

// Reads a numeric address and drops the zone of an IPv6 one, like `%eth0`. Returns nothing for other text.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text) noexcept;

// Whether `text` is a numeric address without a zone.
[[nodiscard]] bool is_address(std::string_view text) noexcept;

// Formats an address; an IPv4 address as "192.0.2.1".
[[nodiscard]] std::string format_address(const Address& address);

// Returns the IPv4 address of the four bytes at `bytes`, which are in network byte order.
[[nodiscard]] Address ipv4_address(const void* bytes) noexcept;

// Returns the address of an IPv4 or IPv6 socket, or the unspecified address (::) for any other family.
[[nodiscard]] Address address_of(const sockaddr& socket) noexcept;

// Returns the address of our end of a socket, or nothing if it has none.
[[nodiscard]] std::optional<Address> local_address(int socket) noexcept;

// Returns the address of ours that the kernel's routes choose for connections to `peer`, a socket address of `size`
// bytes (RFC 1122 section 3.3.4.3, RFC 6724 section 5). Sends nothing. Returns nothing if there is no route.
[[nodiscard]] std::optional<Address> source_towards(const sockaddr& peer, std::size_t size) noexcept;

// The addresses that share the first `length` bits of `address`. An IPv6 network shorter than the IPv4-mapped prefix
// holds no IPv4 address: "::/0" is all of IPv6, "0.0.0.0/0" and "::ffff:0:0/96" are all of IPv4.
struct Network {
  Address address;
  unsigned length;  // 0 to 128
  friend bool operator==(const Network&, const Network&) = default;
};

// Reads CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3) like "192.0.2.0/24" or "2001:db8::/32". An address
// alone is a network of one. Ignores the bits after the length. Returns nothing for other text.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text) noexcept;

[[nodiscard]] bool contains(const Network& network, const Address& address) noexcept;

// Whether one of `networks` contains `address`.
[[nodiscard]] bool contains(std::span<const Network> networks, const Address& address) noexcept;

}  // namespace qatime

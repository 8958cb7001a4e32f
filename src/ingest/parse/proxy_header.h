// SPDX-License-Identifier: MIT
// The PROXY header, which a balancer puts in front of a connection to name the client behind it (HAProxy,
// doc/proxy-protocol.txt, section 2): a line of text in version 1, bytes in version 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/address.h"

namespace qatime::ingest {

// The bound of a header, in bytes. Version 2 could have 65,551, but a certificate among its extensions fits.
inline constexpr std::size_t kMaxProxyHeader = 16 << 10;

// How much of a stream is a PROXY header.
struct ProxyExtent {
  enum class Kind : std::uint8_t {
    none,        // the stream begins with something else
    undecided,   // it is too short to tell
    unfinished,  // it begins as a header does, and has not all of it
    whole,
  };
  Kind kind = Kind::none;
  std::size_t size = 0;  // bytes of a whole header
};

// Looks for a header at the begin of `stream`, by its marks alone: what it says may be wrong.
[[nodiscard]] ProxyExtent measure_proxy_header(std::string_view stream) noexcept;

// The sender that a header names.
struct ProxySource {
  enum class Kind : std::uint8_t {
    invalid,   // the header is wrong, or its client has sent a datagram, whose address anybody can forge
    balancer,  // the balancer itself (LOCAL), or a client without an address (UNKNOWN, UNSPEC, UNIX)
    client,    // `address`
  };
  Kind kind = Kind::invalid;
  Address address{};
};

// Reads a whole header, as measure_proxy_header() has found it. Skips extensions (TLV).
[[nodiscard]] ProxySource read_proxy_header(std::string_view header) noexcept;

}  // namespace qatime::ingest

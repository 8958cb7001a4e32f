// SPDX-License-Identifier: MIT
// Which addresses are ours.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

namespace qatime::ingest {

// An IPv6 address in network order; an IPv4 one is mapped into it (RFC 4291 section 2.5.5.2), so that both spellings
// are equal.
using Address = std::array<unsigned char, 16>;

// Reads a numeric address; the zone of a link-local one is left out. Nothing for other text.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text) noexcept;

// The local addresses of our NFS connections. Any thread.
class SelfAddresses {
 public:
  // Replaces all of them.
  void set(const std::vector<boost::asio::ip::address>& addresses);

  [[nodiscard]] bool contains(const Address& address) const;

 private:
  mutable std::mutex mutex_;
  // guarded by mutex_:
  std::vector<Address> addresses_;
};

}  // namespace qatime::ingest

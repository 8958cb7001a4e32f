// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>
namespace qatime::ingest {

std::optional<Address> parse_address(std::string_view text) noexcept {
  text = text.substr(0, text.find('%'));
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::ranges::copy(text, terminated.begin());

  Address address{};
  if (inet_pton(AF_INET6, terminated.data(), address.data()) == 1) return address;
  address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (inet_pton(AF_INET, terminated.data(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

void SelfAddresses::set(const std::vector<boost::asio::ip::address>& addresses) {
  using namespace boost::asio::ip;
  std::vector<Address> converted;
  converted.reserve(addresses.size());
  for (const address& one : addresses) {
    converted.push_back((one.is_v4() ? make_address_v6(v4_mapped, one.to_v4()) : one.to_v6()).to_bytes());
  }
  const std::lock_guard lock{mutex_};
  addresses_ = std::move(converted);
}

bool SelfAddresses::contains(const Address& address) const {
  const std::lock_guard lock{mutex_};
  return std::ranges::find(addresses_, address) != addresses_.end();
}

}  // namespace qatime::ingest

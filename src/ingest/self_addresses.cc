// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <algorithm>
#include <utility>

namespace qatime::ingest {

void SelfAddresses::set(const std::vector<boost::asio::ip::address>& addresses) {
  using namespace boost::asio::ip;
  std::vector<Address> converted;
  converted.reserve(addresses.size());
  for (const address& one : addresses) {
    converted.push_back((one.is_v4() ? make_address_v6(v4_mapped, one.to_v4()) : one.to_v6()).to_bytes());
  }
  const MutexLock lock{mutex_};
  addresses_ = std::move(converted);
}

bool SelfAddresses::contains(const Address& address) const {
  const MutexLock lock{mutex_};
  return std::ranges::find(addresses_, address) != addresses_.end();
}

}  // namespace qatime::ingest

// SPDX-License-Identifier: MIT
// The addresses of our own, by which we know our requests in the audit stream.
#pragma once

#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/address.h"
#include "base/mutex.h"

namespace qatime::ingest {

// The local addresses of our NFS connections. Any thread.
class SelfAddresses {
 public:
  // Replaces all addresses.
  void set(const std::vector<boost::asio::ip::address>& addresses);

  [[nodiscard]] bool contains(const Address& address) const;

 private:
  mutable Mutex mutex_;
  std::vector<Address> addresses_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime::ingest

// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <algorithm>
#include <utility>

namespace qatime::ingest {
namespace {

bool has(const std::vector<Address>& addresses, const Address& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

}  // namespace

void SelfAddresses::configure(std::span<const std::string> configured) {
  std::vector<Address> addresses;
  for (const std::string& text : configured) {
    if (const auto address = parse_address(text)) addresses.push_back(*address);
  }
  const MutexLock lock{mutex_};
  configured_ = std::move(addresses);
}

void SelfAddresses::set_current(std::vector<Address> addresses, Time now) {
  const MutexLock lock{mutex_};
  for (const Address& before : current_) {
    if (!has(addresses, before)) keep({before, now});
  }
  current_ = std::move(addresses);
}

void SelfAddresses::add_former(std::span<const OwnAddress> addresses, Time now) {
  const MutexLock lock{mutex_};
  for (const OwnAddress& former : addresses) keep({former.address, std::min(former.until, now)});
}

void SelfAddresses::keep(const OwnAddress& former) {
  const auto known = std::ranges::find(former_, former.address, &OwnAddress::address);
  if (known != former_.end()) {
    known->until = std::max(known->until, former.until);
    return;
  }
  former_.push_back(former);
  if (former_.size() > kMostFormer) former_.erase(std::ranges::min_element(former_, {}, &OwnAddress::until));
}

bool SelfAddresses::contains(const Address& address, Time time) const {
  const MutexLock lock{mutex_};
  if (has(current_, address) || has(configured_, address)) return true;
  const auto former = std::ranges::find(former_, address, &OwnAddress::address);
  return former != former_.end() && time <= former->until + kGrace;
}

std::vector<OwnAddress> SelfAddresses::known(Time now) const {
  const MutexLock lock{mutex_};
  std::vector<OwnAddress> all;
  all.reserve(current_.size() + former_.size());
  for (const Address& address : current_) all.push_back({address, now});
  for (const OwnAddress& former : former_) {
    if (!has(current_, former.address)) all.push_back(former);
  }
  return all;
}

}  // namespace qatime::ingest

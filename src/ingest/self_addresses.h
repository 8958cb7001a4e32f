// SPDX-License-Identifier: MIT
// The addresses of our own, by which we know our requests in the audit stream.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/mutex.h"
#include "base/own_address.h"
#include "base/timestamp.h"

namespace qatime::ingest {

// All that is known of our addresses, from whatever source:
// - configured: those of `policy.self`, as long as it names them;
// - current: those that our requests to servers have now;
// - former: those of earlier connections and runs, and of other instances. Records of that time may still come.
//
// An address that has left is somebody else's for records kGrace later. So another machine that gets it loses the
// listings of an hour at most. Any thread.
class SelfAddresses {
 public:
  // How long after `until` a record is still ours. It allows for clocks that differ, for a server that answers late,
  // and for the time since `until` was last written down.
  static constexpr std::chrono::hours kGrace{1};
  // Of more former addresses, those that were ours most recently are kept.
  static constexpr std::size_t kMostFormer = 64;

  // As configure().
  explicit SelfAddresses(std::span<const std::string> configured = {}) { configure(configured); }

  // Replaces the configured addresses. Ignores text that is not an address.
  void configure(std::span<const std::string> configured);

  // Replaces the current addresses. Those that leave were ours until `now`.
  void set_current(std::vector<Address> addresses, Time now);

  // Adds former addresses. A time after `now`, written by a clock that was ahead, counts as `now`.
  void add_former(std::span<const OwnAddress> addresses, Time now);

  // Whether a request of `time` from `address` was ours.
  [[nodiscard]] bool contains(const Address& address, Time time) const;

  // Returns the addresses that are current (until `now`) and former, each once.
  [[nodiscard]] std::vector<OwnAddress> known(Time now) const;

 private:
  void keep(const OwnAddress& former) QATIME_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<Address> configured_ QATIME_GUARDED_BY(mutex_);
  std::vector<Address> current_ QATIME_GUARDED_BY(mutex_);
  std::vector<OwnAddress> former_ QATIME_GUARDED_BY(mutex_);  // each once
};

}  // namespace qatime::ingest

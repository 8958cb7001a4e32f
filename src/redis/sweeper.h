// SPDX-License-Identifier: MIT
// The sweeper, which ends the memory of changes that are old enough.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/thread_checker.h"
#include "redis/claims.h"
#include "redis/keys.h"
#include "redis/servers.h"

namespace qatime::backlog::redis {

// The log of changes can be cut off where all that waits has been through them: some time after there are a hundredth
// as many changes as members, a shard of ours is read once, and each member that a change has concerned gets the name
// that its object has by now, with the moment from which it has it.
//
// On the thread of Redis. All of it may throw Unavailable.
class Sweeper {
 public:
  // The constructor's arguments outlive it.
  Sweeper(const Keys& keys, Servers& servers, Claims& claims) : keys_{keys}, servers_{servers}, claims_{claims} {}

  // Goes on with the shard that it is at, or looks for one, if it is time.
  void sweep();

  // Leaves the shard that it is at: it begins anew some time.
  void stop() noexcept { sweep_.reset(); }

 private:
  using Instant = std::chrono::steady_clock::time_point;
  struct Sweep {
    unsigned shard;
    std::string cursor = "0";
    std::int64_t until;  // of arrivals, milliseconds of Redis
  };

  void begin();
  void go_on();
  void forget_swept();

  ThreadChecker thread_;
  const Keys& keys_;
  Servers& servers_;
  Claims& claims_;
  std::optional<Sweep> sweep_;
  Instant next_{};
  unsigned next_shard_ = 0;
};

}  // namespace qatime::backlog::redis

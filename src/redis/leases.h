// SPDX-License-Identifier: MIT
// The leases of shards: those that this instance works on.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/own_address.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "redis/claims.h"
#include "redis/keys.h"
#include "redis/servers.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// Each instance says every second that it lives, and which addresses are its own. Of n instances, in the order of their
// names, the i-th wants the shards whose number is i modulo n, and gives up others. A lease is held for three quarters
// of `redis.lease`, and an instance is taken for living for half of it, so that the shards of one that died have
// another owner within it.
//
// On the thread of Redis. All of it may throw Unavailable.
class Leases {
 public:
  using OurAddresses = std::function<std::vector<OwnAddress>()>;
  using AllAddresses = std::function<void(std::span<const OwnAddress>)>;

  // The constructor's arguments outlive it.
  Leases(const RedisConfig& config, const Keys& keys, Servers& servers, Claims& claims, metrics::Registry& registry);

  // Has `ours` asked for our addresses before we hold a shard, and `all` told those of all instances. Any thread,
  // before the first hold().
  void share_addresses(OurAddresses ours, AllAddresses all);

  // If it is time, holds what is wanted, gives up the rest, and has the window know. Returns the shards that are ours
  // and were not before.
  [[nodiscard]] std::vector<unsigned> hold();

  // It is time: the connection is a new one.
  void begin_anew() noexcept { next_ = {}; }

  // Gives all of them up, and lives no more.
  void leave();

 private:
  using Instant = std::chrono::steady_clock::time_point;

  [[nodiscard]] std::vector<std::string> announce();
  void exchange_addresses();
  void give_up(unsigned shard);

  ThreadChecker thread_;
  const std::chrono::milliseconds lease_;
  const std::chrono::milliseconds held_;
  const std::string instance_;
  const Keys& keys_;
  Servers& servers_;
  Claims& claims_;
  metrics::Gauge& held_shards_;
  metrics::Gauge& instances_;
  Instant next_{};
  OurAddresses ours_ = [] { return std::vector<OwnAddress>{}; };
  AllAddresses all_ = [](const auto&) {};
};

}  // namespace qatime::backlog::redis

// SPDX-License-Identifier: MIT
// The thread of Redis.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mutex.h"
#include "config/config.h"
#include "redis/claims.h"
#include "redis/keys.h"
#include "redis/leases.h"
#include "redis/outbox.h"
#include "redis/reader.h"
#include "redis/servers.h"
#include "redis/sweeper.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// Hands over what the outbox has, holds leases of shards, fills the window with what waits in them and removes what has
// its outcome; nobody else speaks to Redis, and nobody waits for it. While Redis is away or refuses it tries again, and
// says why once per 10 s.
class Worker {
 public:
  // The constructor's arguments outlive it. `wake` is called when the window has something new.
  Worker(const RedisConfig& config, Claims& claims, Outbox& outbox, metrics::Registry& registry,
         std::function<void()> wake);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // As SharedBacklog::share_addresses().
  void share_addresses(Leases::OurAddresses ours, Leases::AllAddresses all) {
    leases_.share_addresses(std::move(ours), std::move(all));
  }

  void start();
  // There is something to do. Any thread.
  void poke();
  // Hands over what the outbox still has, for `limit` at most, gives up all leases, and ends.
  void begin_stop(std::chrono::milliseconds limit);
  [[nodiscard]] bool is_done() const;

 private:
  using Instant = std::chrono::steady_clock::time_point;

  void run();
  bool wait() QATIME_EXCLUDES(mutex_);
  [[nodiscard]] bool is_over() const QATIME_REQUIRES(mutex_);
  void turn();
  void connect();
  void agree_on_shards();
  void tell_trouble(const std::string& text);
  void failed(const std::string& why);
  void leave();
  void settle();
  void hand_over();
  void hand_over(const Batch& batch, std::uint64_t& added);

  const Keys keys_;
  const RedisKey agreed_shards_;
  Claims& claims_;
  Outbox& outbox_;
  metrics::Gauge& degraded_;
  Alerts& alerts_;
  metrics::Counter& reconnects_;
  const std::function<void()> wake_;
  Servers servers_;
  Leases leases_;
  Reader reader_;
  Sweeper sweeper_;
  Backoff backoff_;
  log::Throttle throttle_;
  unsigned failures_ = 0;
  bool is_behind_ = false;  // replicas do not follow
  Instant hand_over_after_{};
  std::vector<Claims::Settled> settling_;
  std::chrono::microseconds poll_{};

  mutable Mutex mutex_;
  ConditionVariable changed_;
  bool is_poked_ QATIME_GUARDED_BY(mutex_) = false;
  bool is_stopping_ QATIME_GUARDED_BY(mutex_) = false;
  bool is_done_ QATIME_GUARDED_BY(mutex_) = false;
  Instant deadline_ QATIME_GUARDED_BY(mutex_){};

  std::thread thread_;
};

}  // namespace qatime::backlog::redis

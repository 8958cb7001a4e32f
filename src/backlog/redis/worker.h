// SPDX-License-Identifier: MIT
// The thread of Redis.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backlog/redis/keys.h"
#include "backlog/redis/outbox.h"
#include "backlog/redis/servers.h"
#include "backlog/redis/window.h"
#include "backoff.h"
#include "bulletin.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "metrics.h"

namespace qatime::backlog::redis {

// Hands over what the outbox has, holds leases of shards, fills the window with what waits in them and removes what has
// its outcome; nobody else speaks to Redis, and nobody waits for it. While Redis is away or refuses it tries again, and
// says why once per 10 s.
class Worker {
 public:
  // What it is made with outlives it. `wake` is called when the window has something new.
  Worker(const RedisConfig& config, Window& window, Outbox& outbox, metrics::Registry& registry,
         std::function<void()> wake);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  void start();
  // There is something to do. Any thread.
  void poke();
  // Hands over what the outbox still has, for `limit` at most, gives up all leases, and ends.
  void begin_stop(std::chrono::milliseconds limit);
  [[nodiscard]] bool is_done() const;

 private:
  using Instant = std::chrono::steady_clock::time_point;

  // How far a shard has been read. Those that are known are the oldest, mostly: then what is behind them is new, and if
  // nothing is there, nothing is new at all. Else all of it is read.
  struct Scan {
    bool is_whole = true;
    std::size_t cursor = 0;  // how many have been read
    bool is_useful = false;
    Instant next{};
    std::chrono::milliseconds rest{};
  };
  struct Page {
    unsigned shard;
    std::size_t limit;
    std::vector<Window::Found> found;
  };
  struct Sweep {
    unsigned shard;
    std::string cursor = "0";
    std::int64_t until;  // of arrivals, milliseconds of Redis
  };

  void run();
  bool wait();
  void turn();
  void connect();
  void agree_on_shards();
  void tell_trouble(const std::string& text);
  void failed(const std::string& why);
  void hold_leases();
  void give_up(unsigned shard);
  void leave();
  void settle();
  void hand_over();
  void hand_over(const Batch& batch, std::uint64_t& added);
  void read_changes();
  bool fill();
  void read_on(Page& page);
  void sweep();
  void begin_sweep(Instant now);
  void go_on_sweeping();
  void forget_swept();

  const RedisConfig config_;
  const Keys keys_;
  const Key agreed_shards_;
  const std::string instance_;
  Window& window_;
  Outbox& outbox_;
  metrics::Gauge& degraded_;
  Bulletin& bulletin_;
  metrics::Gauge& held_shards_;
  metrics::Gauge& instances_;
  metrics::Counter& reconnects_;
  const std::function<void()> wake_;
  Servers servers_;
  Backoff backoff_;
  log::Throttle throttle_;
  unsigned failures_ = 0;
  bool is_behind_ = false;  // replicas do not follow
  Instant hand_over_after_{};

  Instant next_leases_{};
  std::vector<Scan> scans_;
  std::vector<Window::Settled> settling_;
  std::chrono::microseconds poll_{};
  std::string last_change_ = "0";
  Instant next_sweep_{};
  std::optional<Sweep> sweep_;
  unsigned next_swept_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_:
  bool is_poked_ = false;
  bool is_stopping_ = false;
  bool is_done_ = false;
  Instant deadline_{};

  std::thread thread_;
};

}  // namespace qatime::backlog::redis

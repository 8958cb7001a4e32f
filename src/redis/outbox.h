// SPDX-License-Identifier: MIT
// The accesses and changes that are not yet safely in Redis.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "backlog/durability.h"
#include "backlog/shutdown.h"
#include "base/event.h"
#include "base/log.h"
#include "base/mutex.h"
#include "config/config.h"
#include "redis/shared_counters.h"
#include "store/batch.h"
#include "store/codec.h"
#include "store/store.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// Takes in events as bytes, and makes batches of them every `backlog.commit`, or earlier where it is much: the newest
// access of each path, and all changes of names. A batch is written to the disk, then handed to the thread of Redis,
// and is deleted a minute after Redis acknowledged it; it is handed over again if a server of Redis is replaced before.
// After a start all that the disk has is handed over again. Twice is as good as once: a path keeps its newest time.
//
// While the disk refuses, what comes waits in memory, up to `backlog.memory`; while Redis is away it waits on disk, up
// to `backlog.disk`. Beyond both accesses are dropped and counted. Moves and removals are kept in any case.
//
// add() is called by the intake thread; next() and what follows it by the thread of Redis; the rest by the owner. It
// has a thread of its own, the one that waits for the disk.
class Outbox {
 public:
  // A batch may be needed for so long after it was acknowledged: a failover of Redis loses what came last.
  static constexpr std::chrono::seconds kKept{60};

  // Reads what the store has, once it can be opened. `config.directory` is that of the store; `counters` and `registry`
  // outlive it.
  Outbox(const BacklogConfig& config, unsigned shards, std::unique_ptr<Store> store, SharedCounters& counters,
         metrics::Registry& registry);
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();

  void add(Events events);

  // Has `wake` called, by its own thread, when next() has something. Set before start().
  void on_ready(std::function<void()> wake) { wake_ = std::move(wake); }

  // As Durability::on_commit().
  void on_commit(std::function<void()> also) { also_ = std::move(also); }

  void start();
  // Has it commit all that has come, and end; it tries for `limit`.
  void begin_stop(std::chrono::milliseconds limit);
  // After begin_stop(): whether all is committed, or nothing as long as it still tries.
  [[nodiscard]] std::optional<bool> outcome();

  // The earliest batch that was not handed out, if it is in memory. Its accesses come by shards.
  [[nodiscard]] std::shared_ptr<const Batch> next();

  // Redis has all of the batch; so many accesses were new there.
  void acknowledged(std::uint64_t sequence, std::uint64_t added);

  // Batches without an acknowledgement are handed out again; with `all`, those that are kept, too.
  void hand_out_again(bool all);

  // Whether all that was committed is acknowledged.
  [[nodiscard]] bool is_empty() const;

  // How long the oldest that is not acknowledged has been here. Any thread.
  [[nodiscard]] std::chrono::seconds oldest() const;

 private:
  using Instant = std::chrono::steady_clock::time_point;
  enum class OutboxState : std::uint8_t { waiting, handed_out, acknowledged, doomed };
  struct OutboxRow {
    std::uint32_t accesses = 0;
    std::size_t bytes = 0;
    Time written{};
    OutboxState state = OutboxState::waiting;
    Instant acknowledged{};
    std::shared_ptr<const Batch> batch;  // while it is in memory
  };
  // Why nothing can be written, if so.
  enum class OutboxTrouble : std::uint8_t { none, full, failed };

  bool try_to_load() QATIME_EXCLUDES(mutex_);
  void load_existing() QATIME_EXCLUDES(mutex_);
  void run();
  bool wait_for_work() QATIME_EXCLUDES(mutex_);
  bool pass();
  [[nodiscard]] std::vector<std::shared_ptr<Batch>> cut() QATIME_EXCLUDES(mutex_);
  [[nodiscard]] bool commit(const std::vector<std::shared_ptr<Batch>>& batches) QATIME_EXCLUDES(mutex_);
  void load() QATIME_EXCLUDES(mutex_);
  void lose(std::uint64_t sequence) QATIME_EXCLUDES(mutex_);
  void set_trouble(OutboxTrouble trouble) QATIME_EXCLUDES(mutex_);
  void refused(const StoreError& error) QATIME_EXCLUDES(mutex_);
  void acknowledge(OutboxRow& row) QATIME_REQUIRES(mutex_);
  void publish() QATIME_EXCLUDES(mutex_);
  [[nodiscard]] bool may_try_again() QATIME_EXCLUDES(mutex_);

  const BacklogConfig config_;
  const unsigned shards_;
  std::unique_ptr<Store> store_;
  SharedCounters& counters_;
  metrics::Gauge& memory_bytes_;
  LogMetrics metrics_;
  Alerts& alerts_;
  std::function<void()> wake_;
  std::function<void()> also_ = [] {};
  log::Throttle refused_;
  log::Throttle full_;
  bool is_loaded_ = false;
  std::uint64_t last_sequence_ = 0;

  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::string accesses_ QATIME_GUARDED_BY(mutex_);  // as they came
  std::unique_ptr<AccessEncoder> encoder_ QATIME_GUARDED_BY(mutex_);
  std::uint64_t count_ QATIME_GUARDED_BY(mutex_) = 0;  // in accesses_
  std::string changes_ QATIME_GUARDED_BY(mutex_);
  std::uint32_t changes_count_ QATIME_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, OutboxRow> rows_ QATIME_GUARDED_BY(mutex_);
  std::deque<std::uint64_t> ready_ QATIME_GUARDED_BY(mutex_);     // waiting and in memory
  std::set<std::uint64_t> not_loaded_ QATIME_GUARDED_BY(mutex_);  // waiting, on disk alone
  std::size_t loaded_bytes_ QATIME_GUARDED_BY(mutex_) = 0;
  std::size_t row_bytes_ QATIME_GUARDED_BY(mutex_) = 0;
  std::size_t unacknowledged_ QATIME_GUARDED_BY(mutex_) = 0;  // rows
  OutboxTrouble trouble_ QATIME_GUARDED_BY(mutex_) = OutboxTrouble::none;
  bool has_much_ QATIME_GUARDED_BY(mutex_) = false;
  Shutdown shutdown_ QATIME_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace qatime::backlog::redis

// SPDX-License-Identifier: MIT
// The store thread: the only one that waits for a disk.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backlog/durability.h"
#include "backlog/local.h"
#include "backlog/shutdown.h"
#include "base/log.h"
#include "base/mutex.h"
#include "config/config.h"
#include "store/store.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"

namespace qatime::backlog {

// Keeps a local backlog in its log:
// - commits new accesses and changes every `backlog.commit`, or earlier if there are many;
// - deletes unneeded rows;
// - leaves accesses that memory has no room for on disk alone, and brings them back when there is room.
//
// At the start all accesses of the log are on disk alone.
//
// Failure: while the disk refuses a commit, the thread tries again, no row is deleted, and new accesses wait in memory.
// While the log cannot be opened it is the same: what is in it comes when it can.
class StoreThread final : public Durability {
 public:
  // `local` is made for a log and has had no call yet.
  StoreThread(const BacklogConfig& config, std::unique_ptr<Store> store, Local& local, metrics::Registry& registry);
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;
  ~StoreThread() override;

  // Brings back some of what there is room for and commits what is new. Returns whether the disk took the commit. For
  // tests; the thread of start() does it again and again.
  bool turn();

  void on_commit(std::function<void()> also) override { also_ = std::move(also); }
  void start() override;

  void begin_stop(std::chrono::milliseconds limit) override;
  [[nodiscard]] std::optional<bool> outcome() override;
  [[nodiscard]] std::size_t kept() const override { return local_.pending(); }

  // Calls begin_stop() and waits for the outcome. Returns whether everything is kept.
  [[nodiscard]] bool stop(std::chrono::milliseconds limit);

 private:
  using Instant = std::chrono::steady_clock::time_point;

  bool load();
  bool try_to_load();
  void load_existing();
  void run();
  bool wait_for_work() QATIME_EXCLUDES(mutex_);
  bool pass();
  bool commit(const Local::Draft& draft, const std::vector<Slot>& unneeded);
  // Rows that come back through changes, in several steps.
  struct LogReplay {
    LogReplay(Local::Return rows, const Local& local, std::size_t memory)
        : returning{std::move(rows)},
          latest{moment(returning.rows.front().written) - local.limits().retention},
          index{local.exports(), memory, latest, local.limits()} {}

    // `moment` may be earlier than one before: clocks are set back.
    void advance(Clock::Instant moment) {
      latest = std::max(latest, moment);
      index.advance(latest);
    }

    Local::Return returning;
    Clock::Instant latest;
    PendingIndex index;  // repeats the log
  };
  bool bring_back();
  void bring_directly(Local::Return& returning);
  std::size_t bring_directly(const Local::Return::Step& step, bool is_merger);
  void bring_through_changes();
  void replay_row(const Local::Return::Step& step);
  void restore(const Local::Return::Step& step, AccessDecoder& accesses, Local::Return& returning, PendingIndex& index);
  void report();
  // Writing to the disk, or reading from it.
  struct Direction {
    const char* verb;
    const char* consequence;
    bool is_refused = false;
    std::string why{};
    log::Throttle throttle{};
  };
  void refused(Direction& direction, const StoreError& error);
  void taken(Direction& direction);
  void tell_trouble();
  void update_alert();
  [[nodiscard]] bool may_try_again() QATIME_EXCLUDES(mutex_);

  const BacklogConfig config_;
  std::function<void()> also_ = [] {};
  std::unique_ptr<Store> store_;
  Local& local_;
  LogMetrics metrics_;
  Alerts& alerts_;
  Direction writing_{"written", "what comes waits in memory"};
  Direction reading_{"read", "what is away waits"};
  bool is_full_ = false;
  log::Throttle full_;
  bool is_loaded_ = false;
  std::uint64_t loaded_ = 0;           // the last sequence that is
  std::unique_ptr<LogReplay> replay_;  // while one goes on
  bool is_bringing_ = false;           // some came back; there might be more
  std::size_t existing_ = 0;           // accesses of the start, reported once they are back
  Instant began_{};

  Mutex mutex_;
  ConditionVariable changed_;
  bool has_much_ QATIME_GUARDED_BY(mutex_) = false;
  Shutdown shutdown_ QATIME_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace qatime::backlog

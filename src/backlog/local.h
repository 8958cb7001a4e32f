// SPDX-License-Identifier: MIT
// The backlog of one qatime: in memory, and in a log on disk where it has one.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backlog/backlog.h"
#include "backlog/deferred_settles.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/path.h"
#include "config/config.h"
#include "pending/history_limits.h"
#include "pending/invalidations.h"
#include "pending/log_index.h"
#include "pending/pending_index.h"
#include "store/batch.h"
#include "store/codec.h"
#include "telemetry/metrics.h"

namespace qatime::backlog {

// Every event is taken in at once: moves and removals change what is pending, and are remembered for a minute, or as
// long as the owner wants, for what comes later. What it promises for events that come out of order, the index says.
// A change that comes again meanwhile is counted, and neither carried out nor written.
//
// All of it takes `backlog.memory` at most, or a few blocks of slabs more, and while a late change is carried out what
// that takes out of the table; beyond it, accesses to other paths are dropped and counted, while coalescing, moves and
// removals go on. No room is reserved for what is in flight (32 bytes each) or put back (12 bytes each, or a fifth of
// a backlog that is full; and 32 where it failed). Where there is a log, the store thread makes room before that: some
// accesses are on disk alone. While the disk takes what comes, 32 MiB more may wait for the next commit: what finds
// three quarters of the memory taken is put in the form of the log at once, and never was in the table. When little is
// left of the 32 MiB, too, add() waits for the disk, but for no longer than a second: a slower disk has failed.
//
// At every moment between two calls, the accesses added + recovered = coalesced + cancelled + settled + dropped +
// pending.
class Local final : public Backlog {
 public:
  enum class Log { none, kept };

  // `clock` and `registry` outlive it. What comes late is understood as far back as `limits` says; each kind of
  // things to remember takes an eighth of `backlog.memory` at most.
  Local(const BacklogConfig& config, Exports exports, const Clock& clock, metrics::Registry& registry,
        HistoryLimits limits = {}, Log log = Log::none);

  void add(Events events) override;
  [[nodiscard]] Slice take(std::size_t export_index, std::size_t limit) override;
  void take_more(Slice& slice, std::size_t limit) override;
  void settle(Ticket ticket) override;
  void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) override;
  [[nodiscard]] bool reconsider(Ticket ticket) override;
  [[nodiscard]] Invalidations take_invalidations() override;
  [[nodiscard]] std::optional<Clock::Instant> next_due() const override;
  [[nodiscard]] std::size_t pending() const override;
  void on_work(std::function<void()> wake) override { wake_ = std::move(wake); }

  [[nodiscard]] std::size_t in_flight() const override;
  [[nodiscard]] std::chrono::seconds oldest() const override;

  // --- For the store thread. Each call holds the lock for a moment only. --------------------------------------------

  // Has `wake` called, by the thread that calls add() and perhaps with the lock held, when much is to be written, or
  // add() waits. Set before the first add().
  void on_much_unwritten(std::function<void()> wake) { wake_store_thread_ = std::move(wake); }

  // A row that the log had at the start: its accesses are on disk alone. Rows come in their order, before anything
  // else.
  void load_existing(std::uint64_t sequence, Time written, std::uint32_t accesses, std::uint32_t changes,
                     std::size_t bytes);

  // What changed names less than the retention ago, before this process began.
  void remember(const Event& change);

  // Rows on their way into the log, in their order.
  struct Draft {
    struct Part {
      Slot row;
      Batch batch;
      bool is_whole = false;  // else there may be more of it
    };
    std::vector<Part> parts;
    std::size_t bytes = 0;
  };

  // Everything that is new at one moment.
  struct Pass {
    std::vector<Slot> items;     // that are to be looked at
    std::size_t next;            // of them
    std::uint64_t events;        // that are in the log when nothing is left
    std::size_t overflows;       // that are to be written still
    std::vector<Slot> unneeded;  // rows that nobody needs then
    bool is_full;                // accesses have to wait for room on disk
  };
  [[nodiscard]] Pass begin_pass();

  // Adds some of what is new to `draft`; without room in memory, it is on disk alone from then on. Returns whether
  // there is more of the pass.
  [[nodiscard]] bool write_some(Pass& pass, Draft& draft);

  // The sequences of rows.
  [[nodiscard]] std::vector<std::uint64_t> sequences(const std::vector<Slot>& rows) const;

  // The draft is in the log, and the rows `unneeded` are deleted.
  void committed(const Draft& draft, const std::vector<Slot>& unneeded);

  // Has the accesses of rows that are mostly unneeded written again, if the log is much greater than what is pending.
  void renew();

  // Rows whose accesses come back together, and the changes that these have to go through, in the order of the log.
  struct Return {
    struct Step {
      Slot row;
      std::uint64_t sequence;
      Time written;
      bool is_returning;             // else its changes are needed
      std::vector<bool> is_on_disk;  // empty: all

      [[nodiscard]] bool comes(std::uint32_t position) const { return is_on_disk.empty() || is_on_disk[position]; }
    };
    std::vector<Step> steps;
    bool has_changes = false;
    bool is_merger = false;  // of small rows: what comes is written again, and may leave memory again
    bool has_begun = false;
    std::size_t changes_seen = 0;  // bytes of changes_
  };
  // Nothing to do if there are no steps: nothing is on disk alone, or there is no room, nor are there many small rows.
  [[nodiscard]] Return begin_return() const;

  // Takes some of the accesses of a row that have no changes to go through. Returns false when there are no more, or a
  // change has come that the others have to go through.
  [[nodiscard]] bool bring_directly(const Return::Step& step, AccessDecoder& accesses, bool is_merger);

  // Hands over some of what `returning` has brought into `index`, which is as the log was when it ended. Returns
  // whether there is more.
  [[nodiscard]] bool bring_some(Return& returning, PendingIndex& index);

  // A row cannot be read and is in the log no more.
  void lose(Slot row);

  // So many accesses of the log are below no export of today.
  void drop_outside(std::uint32_t count);

  // Why nothing can be written, if so: what finds no room in memory is dropped for that reason.
  enum class Trouble { none, disk_full, disk_failed };
  void set_trouble(Trouble trouble);

  // Whether accesses to other paths find no room in memory.
  [[nodiscard]] bool is_full() const;

  [[nodiscard]] std::size_t disk_bytes() const;
  [[nodiscard]] std::size_t on_disk() const;
  [[nodiscard]] std::size_t rows() const;
  [[nodiscard]] const Exports& exports() const noexcept { return exports_; }
  [[nodiscard]] const HistoryLimits& limits() const noexcept { return limits_; }

 private:
  // What may come between two commits beyond backlog.memory while the disk takes it, in bytes.
  static constexpr std::size_t kBurst = 32 << 20;
  static constexpr std::size_t kBurstLeft = 4 << 20;  // more than one add() brings
  static constexpr std::chrono::seconds kPatience{1};

  // Why accesses are dropped; what finds no room without a log, or with one in some Trouble.
  enum class Dropped { memory_full, disk_full, disk_failed, damaged, outside };

  // Who has the lock, for longer: what is settled meanwhile is carried out at the end, and told.
  class Busy {
   public:
    explicit Busy(Local& local) QATIME_REQUIRES(local.mutex_) : local_{local} { local_.deferred_settles_.open(); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      local_.mutex_.assert_held();  // because the constructor requires it; clang cannot see that local_ is its argument
      for (const Ticket ticket : local_.deferred_settles_.close()) local_.index_.table().settle(ticket);
      local_.publish();
    }

   private:
    Local& local_;
  };

  void wait_for_room() QATIME_REQUIRES(mutex_);
  [[nodiscard]] bool has_room() const noexcept QATIME_REQUIRES(mutex_);
  void take_in(Events events) QATIME_REQUIRES(mutex_);
  void learn(const Event& change) QATIME_REQUIRES(mutex_);
  Draft::Part& open_part(Draft& draft) QATIME_REQUIRES(mutex_);
  bool overflow(const Place& place, Time time) QATIME_REQUIRES(mutex_);
  void end_overflow() QATIME_REQUIRES(mutex_);
  void write_overflow(Draft& draft) QATIME_REQUIRES(mutex_);
  [[nodiscard]] std::size_t bytes() const noexcept QATIME_REQUIRES(mutex_);
  [[nodiscard]] std::size_t pending_now() const noexcept QATIME_REQUIRES(mutex_);
  [[nodiscard]] std::size_t unwritten_now() const noexcept QATIME_REQUIRES(mutex_);
  void count(const PendingIndex::Counts& counts) QATIME_REQUIRES(mutex_);
  void publish() QATIME_REQUIRES(mutex_);

  const std::size_t memory_;
  const std::size_t disk_;
  const Exports exports_;
  const Clock& clock_;
  const HistoryLimits limits_;
  const bool has_log_;
  const std::size_t max_row_;     // bytes
  const std::size_t high_water_;  // bytes of the table: beyond, what comes overflows, and what is written leaves memory
  const std::size_t much_unwritten_;  // accesses
  std::function<void()> wake_;
  std::function<void()> wake_store_thread_;
  std::vector<HashedPlace> places_;  // of the events of one add()

  DeferredSettles deferred_settles_;
  mutable Mutex mutex_;
  LogIndex log_index_ QATIME_GUARDED_BY(mutex_);
  PendingIndex index_ QATIME_GUARDED_BY(mutex_);
  InvalidationList invalidations_ QATIME_GUARDED_BY(mutex_);
  std::uint64_t sequence_ QATIME_GUARDED_BY(mutex_) = 0;  // of the row that was opened last
  std::string changes_ QATIME_GUARDED_BY(mutex_);         // that are in no row yet
  std::uint32_t changes_count_ QATIME_GUARDED_BY(mutex_) = 0;
  std::uint64_t events_ QATIME_GUARDED_BY(mutex_) = 0;  // that were taken in and not dropped
  // Accesses for the disk alone, which were never in the table and are in no row yet: each of these is to be one.
  struct Overflow {
    std::string entries;
    std::uint32_t accesses;
  };
  std::deque<Overflow> overflows_ QATIME_GUARDED_BY(mutex_);
  std::string overflow_ QATIME_GUARDED_BY(mutex_);  // the next of them
  AccessEncoder overflow_encoder_ QATIME_GUARDED_BY(mutex_){overflow_};
  std::uint32_t overflow_count_ QATIME_GUARDED_BY(mutex_) = 0;
  std::size_t overflow_bytes_ QATIME_GUARDED_BY(mutex_) = 0;     // of all
  std::size_t overflow_accesses_ QATIME_GUARDED_BY(mutex_) = 0;  // in all
  ConditionVariable room_made_;
  bool is_patient_ QATIME_GUARDED_BY(mutex_) = true;     // nobody has waited for it in vain since the last commit
  std::size_t returning_ QATIME_GUARDED_BY(mutex_) = 0;  // accesses that are neither on disk alone nor in the index
  Trouble trouble_ QATIME_GUARDED_BY(mutex_) = Trouble::none;
  metrics::Counter& recovered_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& coalesced_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& cancelled_ QATIME_GUARDED_BY(mutex_);
  metrics::Counter& repeated_ QATIME_GUARDED_BY(mutex_);
  std::array<metrics::Counter*, 5> dropped_ QATIME_GUARDED_BY(mutex_);  // by Dropped
  metrics::Gauge& pending_;  // written under mutex_, or by deferred_settles_ while a Busy lives
  metrics::Gauge& in_flight_ QATIME_GUARDED_BY(mutex_);
  metrics::Gauge& bytes_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime::backlog

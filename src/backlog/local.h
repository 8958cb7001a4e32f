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

// Takes in every event at once. Moves and removals change the pending accesses, and are remembered for the retention.
// PendingIndex says what holds for events out of order. A change that comes again is counted, and neither carried out
// nor written.
//
// Guarantee: between two calls, accesses added + recovered = coalesced + cancelled + settled + dropped + pending.
//
// Bounds:
// - Memory: `backlog.memory`, and a few blocks of slabs. Beyond it, accesses to new paths are dropped and counted, but
//   coalescing, moves and removals go on.
// - Not counted: the accesses that a late change takes out of the table while it is carried out.
// - Not reserved: 32 bytes for each entry in flight, 12 for each put back, 32 for each that failed. If all entries of a
//   full backlog are put back, the 12 bytes make a fifth of it.
// - With a log, three quarters of the memory: beyond it, accesses leave memory as they are written. New ones are
//   encoded for the log at once, and never enter the table.
// - With a log, 32 MiB more between two commits. When little of that is left, add() waits for the disk. It waits a
//   second at most, because a slower disk counts as failed.
class Local final : public Backlog {
 public:
  enum class Log { none, kept };

  // `limits` bounds how late an event may come. Each kind of history takes an eighth of `backlog.memory` at most.
  Local(const BacklogConfig& config, Exports exports, const Clock& clock, metrics::Registry& registry,
        HistoryLimits limits = {}, Log log = Log::none);

  void add(Events events) override;
  [[nodiscard]] Slice take(std::size_t export_index, std::size_t limit) override;
  [[nodiscard]] Slice take_wanted(std::size_t export_index, std::size_t limit, const Wants& wants) override;
  [[nodiscard]] Slice take_newest(std::size_t export_index, const Suits& suits) override;
  void take_more(Slice& slice, std::size_t limit) override;
  void settle(Ticket ticket) override;
  void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) override;
  [[nodiscard]] bool reconsider(Ticket ticket) override;
  [[nodiscard]] bool has_invalidations() const override QATIME_UNCHECKED { return invalidations_.has_some(); }
  [[nodiscard]] Invalidations take_invalidations() override;
  [[nodiscard]] std::optional<Clock::Instant> next_due() const override;
  [[nodiscard]] std::size_t pending() const override;
  void on_work(std::function<void()> wake) override { wake_ = std::move(wake); }

  [[nodiscard]] std::size_t in_flight() const override;
  [[nodiscard]] std::chrono::seconds oldest() const override;

  // --- For the store thread. Each call holds the lock for a moment only. --------------------------------------------

  // Calls `wake` when much is to be written or add() waits: on the thread of add(), perhaps with the lock held. Set
  // before the first add().
  void on_much_unwritten(std::function<void()> wake) { wake_store_thread_ = std::move(wake); }

  // Sets the longest wait of one add() for the disk, a second by default. For tests. Before the first add().
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  // Adds a row that the log had before; its accesses are on disk alone. Rows come in their order, before any pass.
  void load_existing(std::uint64_t sequence, Time written, std::uint32_t accesses, std::uint32_t changes,
                     std::size_t bytes);

  // Remembers a move or removal of an earlier process that is younger than the retention. It is a late change for what
  // came before the log could be read.
  void remember(const Event& change);

  // Rows on their way into the log, in their order.
  struct Draft {
    struct Part {
      Slot row;
      Batch batch;
      bool is_whole = false;  // false: more might be added to it
    };
    std::vector<Part> parts;
    std::size_t bytes = 0;
  };

  // Everything that is new at one moment.
  struct Pass {
    std::vector<Slot> items;     // to be looked at
    std::size_t next;            // position in `items`
    std::uint64_t events;        // events in the log once nothing is left
    std::size_t overflows;       // still to be written
    std::vector<Slot> unneeded;  // rows to be deleted at the end
    bool is_full;                // accesses have to wait for room on disk
  };
  [[nodiscard]] Pass begin_pass();

  // Adds some of the new accesses and changes to `draft`. If memory has no room, these accesses are on disk alone from
  // then on. Returns whether there is more of the pass.
  [[nodiscard]] bool write_some(Pass& pass, Draft& draft);

  // Returns the sequences of `rows`.
  [[nodiscard]] std::vector<std::uint64_t> sequences(const std::vector<Slot>& rows) const;

  // Notes that the draft is in the log and that the rows `unneeded` are deleted.
  void committed(const Draft& draft, const std::vector<Slot>& unneeded);

  // Marks accesses to be written again. If the log is much greater than its needed part, takes rows that are mostly
  // unneeded. If it has too many rows, takes all that have no access on disk alone.
  void renew();

  // Rows whose accesses come back together, and the changes that they have to follow, in the order of the log. Other
  // rows may be committed between two steps.
  struct Return {
    struct Step {
      Slot row;
      std::uint64_t sequence;
      Time written;
      std::uint32_t events;          // in it
      bool is_returning;             // false: only its changes are needed
      std::vector<bool> is_on_disk;  // empty: all

      [[nodiscard]] bool comes(std::uint32_t position) const { return is_on_disk.empty() || is_on_disk[position]; }
    };
    std::deque<Step> rows;   // with accesses that come back, those that were not read
    std::vector<Slot> read;  // those that were
    bool has_changes = false;
    bool is_merger = false;  // of small rows: the accesses are written again, and might leave memory again
    bool has_begun = false;
    std::uint64_t last = 0;        // sequence of the last row that was read, or of one before it
    std::size_t changes_seen = 0;  // bytes of changes_, or of the first changes that come into the log behind `last`
    std::uint32_t outside = 0;     // accesses that were read and are below no export of today
  };
  // Accesses that are looked at under one lock: a fraction of a millisecond.
  static constexpr std::size_t kSlice = 512;

  // Chooses the rows that come back. Returns none if nothing is on disk alone, or if there is neither room nor many
  // small rows.
  [[nodiscard]] Return begin_return() const;

  // Returns the row that has to be read next; nothing at the end of the log.
  [[nodiscard]] std::optional<Return::Step> next_step(const Return& returning) const;

  // Takes some of the accesses of a row that have no changes to follow. Returns false when there are no more, or a
  // change has come that the others have to follow.
  [[nodiscard]] bool bring_directly(const Return::Step& step, AccessDecoder& accesses, bool is_merger);

  // Takes up to kSlice of the accesses of each export that `returning` has brought into `index`, which repeats the log
  // up to its end. Returns whether there are more.
  [[nodiscard]] bool bring_some(Return& returning, PendingIndex& index);

  // Drops and counts the accesses of a row that cannot be read and is no longer in the log.
  void lose(Slot row);

  // Why nothing can be written, if so. It is the reason of all accesses that are dropped for lack of memory.
  enum class Trouble { none, disk_full, disk_failed };
  void set_trouble(Trouble trouble);

  // Whether the index has used up `backlog.memory`.
  [[nodiscard]] bool is_full() const;

  [[nodiscard]] std::size_t disk_bytes() const;
  [[nodiscard]] std::size_t on_disk() const;
  [[nodiscard]] std::size_t rows() const;
  [[nodiscard]] const Exports& exports() const noexcept { return exports_; }
  [[nodiscard]] const HistoryLimits& limits() const noexcept { return limits_; }

 private:
  // Bytes beyond backlog.memory that may come between two commits while the disk takes them.
  static constexpr std::size_t kBurst = 32 << 20;
  static constexpr std::size_t kBurstLeft = 4 << 20;  // more than one add() brings

  // Why accesses are dropped. The first three are for lack of room: without a log, or by Trouble.
  enum class Dropped { memory_full, disk_full, disk_failed, damaged, outside };

  // Holds the lock for longer. At the end it settles the tickets that were left meanwhile, and publishes the metrics.
  class Busy {
   public:
    explicit Busy(Local& local) QATIME_REQUIRES(local.mutex_) : local_{local} { local_.deferred_settles_.open(); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      local_.mutex_.assert_held();  // because clang cannot see that local_ is the constructor's argument
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
  const std::size_t max_row_;         // bytes
  const std::size_t high_water_;      // bytes of the index: beyond, new accesses overflow and written ones leave memory
  const std::size_t much_unwritten_;  // accesses
  std::chrono::milliseconds patience_{1000};
  std::function<void()> wake_;
  std::function<void()> wake_store_thread_;
  std::vector<HashedPlace> places_;  // of the events of one add()

  DeferredSettles deferred_settles_;
  mutable Mutex mutex_;
  LogIndex log_index_ QATIME_GUARDED_BY(mutex_);
  PendingIndex index_ QATIME_GUARDED_BY(mutex_);
  InvalidationList invalidations_ QATIME_GUARDED_BY(mutex_);
  std::uint64_t sequence_ QATIME_GUARDED_BY(mutex_) = 0;  // of the last row opened
  std::string changes_ QATIME_GUARDED_BY(mutex_);         // in no row yet
  std::uint32_t changes_count_ QATIME_GUARDED_BY(mutex_) = 0;
  std::uint64_t events_ QATIME_GUARDED_BY(mutex_) = 0;  // taken in and not dropped
  // Accesses for the disk alone, never in the table and in no row yet. Each Overflow becomes a row.
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
  bool is_patient_ QATIME_GUARDED_BY(mutex_) = true;     // no add() has waited in vain since the last commit
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

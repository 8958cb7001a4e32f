// SPDX-License-Identifier: MIT
// The backlog in memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backlog/backlog.h"
#include "backlog/changes.h"
#include "backlog/endings.h"
#include "backlog/remembrance.h"
#include "backlog/table.h"
#include "clock.h"
#include "config.h"
#include "metrics.h"
#include "path.h"

namespace qatime::backlog {

// Every event is taken in at once: moves and removals change what is pending, and are remembered for a minute, or as
// long as the owner wants, for what comes later. All of it takes `backlog.memory` at most, or a few blocks of slabs
// more, and while a late change is carried out what that takes out of the table; beyond it, accesses to other paths
// are dropped and counted, while coalescing, moves and removals go on. No room is reserved for what is in flight (32
// bytes each) or put back (16 bytes each, or a fifth of a backlog that is full).
//
// What is promised, where no event comes later than another of the same names by more than the retention, and nothing
// is in flight for longer than that: whatever the order of arrival, an access that is not taken is pending where its
// object is by all changes that have come, if it is the newest of that object, and nowhere else. A change that comes
// late brings back what had been counted as coalesced or cancelled; that is `recovered`. What was taken before is not
// undone; while in flight it is followed when it is put back or reconsidered, and older accesses that it had
// superseded are forgotten when it is settled. Each kind of what has to be remembered for that has its bound in
// memory, beyond which the earliest is forgotten; one change remembers so many accesses that it ends as the owner
// says, and none while the last eighth of `backlog.memory` is in use.
//
// At every moment between two calls, the accesses added + recovered = coalesced + cancelled + settled + dropped +
// pending.
class Local final : public Backlog {
 public:
  // `clock` and `registry` outlive it. What comes late is understood as far back as `remembrance` says; each kind of
  // things to remember takes an eighth of `backlog.memory` at most.
  Local(const BacklogConfig& config, Lanes lanes, const Clock& clock, metrics::Registry& registry,
        Remembrance remembrance = {});

  void add(Events events) override;
  [[nodiscard]] Slice take(std::size_t lane, std::size_t limit) override;
  void take_more(Slice& slice, std::size_t limit) override;
  void settle(Ticket ticket) override;
  void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) override;
  [[nodiscard]] bool reconsider(Ticket ticket) override;
  [[nodiscard]] Invalidations take_invalidations() override;
  [[nodiscard]] std::optional<Clock::Instant> next_due() const override;
  [[nodiscard]] std::size_t pending() const override;
  void on_work(std::function<void()> wake) override { wake_ = std::move(wake); }

  // How long the oldest of what is pending has been here; zero if nothing is. Any thread.
  [[nodiscard]] std::chrono::seconds oldest() const;

 private:
  // An access as it came.
  struct Known {
    std::string path;
    Time time;
    bool counted;  // as coalesced or cancelled
  };
  using Affected = std::vector<Known>;

  void take_in(const Access& access);
  void take_in(const Move& move);
  void take_in(const Removal& removal);
  void arrive(std::string_view path, Time time, bool counted, bool may_grow);
  void end(std::string_view path, bool subtree, Order by);
  void remember_ending(Endings::Ending ending);
  [[nodiscard]] Known known(const Table::Loose& loose) const;
  void collect(std::string_view path, bool subtree, Time until, Affected& affected);
  void revive(std::string_view path, Time until, Affected& affected);
  void arrive_again(const Affected& affected);
  bool follow_flight(Ticket ticket);
  void invalidate(std::string_view path);
  [[nodiscard]] std::size_t bytes() const noexcept;
  void publish();

  const std::size_t memory_;
  const std::size_t max_endings_;
  const Lanes lanes_;
  const Clock& clock_;
  std::function<void()> wake_;  // of the thread that calls add()

  mutable std::mutex mutex_;
  // guarded by mutex_:
  Table table_;
  Changes changes_;
  Endings endings_;
  Clock::Instant now_;
  Invalidations invalidations_;
  std::size_t invalidation_bytes_ = 0;
  metrics::Counter& recovered_;
  metrics::Counter& coalesced_;
  metrics::Counter& cancelled_;
  metrics::Counter& dropped_;
  metrics::Gauge& pending_;
  metrics::Gauge& in_flight_;
  metrics::Gauge& bytes_;
};

}  // namespace qatime::backlog

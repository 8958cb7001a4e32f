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
#include "backlog/ledger.h"
#include "backlog/remembrance.h"
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
// What it promises for events that come out of order, the ledger says.
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
  void invalidate(const Access&) {}
  void invalidate(const Move& move);
  void invalidate(const Removal& removal) { doubt(removal.path); }
  void doubt(std::string_view path);
  [[nodiscard]] std::size_t bytes() const noexcept;
  void publish();

  const std::size_t memory_;
  const Lanes lanes_;
  const Clock& clock_;
  std::function<void()> wake_;  // of the thread that calls add()

  mutable std::mutex mutex_;
  // guarded by mutex_:
  Ledger ledger_;
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

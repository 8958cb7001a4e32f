// SPDX-License-Identifier: MIT
// The index of what is pending: each access at its object's current path, whatever the order of arrival.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "base/path.h"
#include "pending/cancelled.h"
#include "pending/history_limits.h"
#include "pending/pending_table.h"
#include "pending/renames.h"

namespace qatime::backlog {

// The moment at which a row of the log was written, for an index that repeats it.
[[nodiscard]] inline Clock::Instant moment(Time written) {
  return Clock::Instant{std::chrono::duration_cast<Clock::Duration>(written.time_since_epoch())};
}

// The table, and the changes of names that its entries have to follow. One owner, who lets `exports` outlive it.
//
// What is promised, where no event comes later than another of the same names by more than the retention, and nothing
// is in flight for longer than that: whatever the order of arrival, an access that is not taken is pending where its
// object is by all changes that have come, if it is the newest of that object, and nowhere else. A change that comes
// late brings back what had been counted as coalesced or cancelled; that is `recovered`. What was taken before is not
// undone; while in flight it is followed when it is put back or looked at again, and older accesses that it had
// superseded are forgotten when it is settled. Each kind of what has to be remembered for that has its bound in
// memory, beyond which the earliest is forgotten; one change remembers so many accesses that it ends as the owner
// says, and none while the last eighth of the memory is in use.
//
// At every moment, the accesses taken in + recovered = coalesced + cancelled + refused + settled + pending.
class PendingIndex {
 public:
  // `memory` is what the owner wants it to take, in bytes: accesses to new paths are refused beyond it. What comes late
  // is understood as far back as `limits` says; each kind of things to remember takes an eighth at most.
  // `rows` are those of the table.
  PendingIndex(const Exports& exports, std::size_t memory, Clock::Instant now, const HistoryLimits& limits,
               LogIndex* rows = nullptr);

  // Accesses to new paths are refused beyond so many bytes, in place of the memory.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }

  // Accesses to new paths that no change concerns go to `take` beyond so many bytes, if it takes them.
  using Take = std::function<bool(const Place& place, Time time)>;
  void set_overflow(std::size_t bytes, Take take) {
    overflow_from_ = bytes;
    overflow_ = std::move(take);
  }

  // Has `tell` called with each move or removal that is new and changes something, before it is carried out.
  using Tell = std::function<void(const Event& change)>;
  void on_change(Tell tell) { tell_ = std::move(tell); }

  // What happens from here on happens at `now`, which is never less than before.
  void advance(Clock::Instant now);

  void take_in(const Access& access);
  void take_in(const Move& move);
  void take_in(const Removal& removal);
  void take_in(const Event& event);

  // Where the accesses of `events` belong while no change concerns them; HashedPlace{} for what is no access or below
  // no export. Any thread.
  static void locate(const Exports& exports, Events events, std::vector<HashedPlace>& places);

  // Events in their order of arrival, with what locate() says of them; much faster than one by one.
  void take_in(Events events, std::span<const HashedPlace> places);

  // An access that was in the log, in `row`, comes back at the place that all changes which came until now have given
  // it.
  void restore(const Place& place, Time time, Slot row) {
    if (table_.restore(place, time, row) == PendingTable::Added::coalesced) ++counts_.coalesced;
  }

  // A change that an earlier process has taken in, and all that is pending has been through.
  template <class Change>
  void remember(const Change& change) {
    if (!history_.knows(change)) history_.remember(change, now_);
  }

  // Ends the flight if a change that came since it was taken explains why its object is not there. Whether it did.
  bool follow_flight(Ticket ticket);

  struct Counts {
    std::uint64_t recovered = 0;
    std::uint64_t coalesced = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t refused = 0;   // there was no room
    std::uint64_t repeated = 0;  // moves and removals that were known
  };
  // The outcomes of accesses and changes since the last call.
  [[nodiscard]] Counts take_counts() noexcept { return std::exchange(counts_, {}); }

  // The mark of what is taken now (PendingTable::take).
  [[nodiscard]] std::uint64_t mark() const noexcept { return history_.last_sequence(); }

  [[nodiscard]] PendingTable& table() noexcept { return table_; }
  [[nodiscard]] const PendingTable& table() const noexcept { return table_; }
  [[nodiscard]] std::size_t bytes() const noexcept;
  // The same without the gaps that items have left, which others will fill, up to an eighth of the memory.
  [[nodiscard]] std::size_t used_bytes() const noexcept;

 private:
  // An access as it came.
  struct OriginalAccess {
    std::string path;
    Time time;
    bool counted;  // as coalesced or cancelled
  };
  using Affected = std::vector<OriginalAccess>;

  template <class Change>
  [[nodiscard]] bool is_new(const Change& change);
  void arrive(std::string_view path, Time time, bool counted, bool may_grow);
  PendingTable::Added put(const HashedPlace& where, Time time, std::size_t used);
  void count(PendingTable::Added added, bool counted);
  void end(std::string_view path, bool subtree, Order by);
  void remember_cancelled(CancelledAccesses::Cancelled cancelled);
  [[nodiscard]] OriginalAccess known(const PendingTable::Withdrawn& withdrawn) const;
  void collect(std::string_view path, bool subtree, Time until, Affected& affected);
  void revive(std::string_view path, Time until, Affected& affected);
  void arrive_again(const Affected& affected);

  const Exports& exports_;
  const std::size_t memory_;
  std::size_t limit_;
  std::size_t overflow_from_ = 0;
  Take overflow_;
  Tell tell_;
  const std::size_t max_cancelled_;
  PendingTable table_;
  RenameHistory history_;
  CancelledAccesses cancelled_;
  Clock::Instant now_;
  Counts counts_;
};

}  // namespace qatime::backlog
